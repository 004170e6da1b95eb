package io.valetkey.broker.signal;

import io.valetkey.broker.policy.SignalRule.Facts;
import io.valetkey.broker.policy.SignalRuleSpec.Priority;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import io.valetkey.broker.signal.Signal.About;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * An event as Falco's {@code http_output} writes it, and falcosidekick's webhook after it. Kept are
 * the rule, the priority, the time, the pod and some words; never {@code output}, nor any field of
 * a process or a file.
 */
final class FalcoEvent {

  private static final Pattern WORD = Pattern.compile("[a-z0-9_]{1,32}");
  private static final Pattern CONTAINER = Pattern.compile("[0-9a-f]{12,64}");
  private static final Pattern UUID =
      Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
  private static final Pattern SERVICE_ACCOUNT =
      Pattern.compile("system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}");

  /** Falco's plugin for the API server's audit log: there the actor is an account and not a pod. */
  private static final String AUDIT_LOG = "k8s_audit";

  private FalcoEvent() {}

  static boolean isOne(Map<String, @Nullable Object> fields) {
    return fields.containsKey("rule") && fields.containsKey("priority");
  }

  static Signal read(Map<String, @Nullable Object> fields) {
    String rule = ForeignJson.required(ForeignJson.name(fields, "rule"), "rule");
    Map<?, ?> output = ForeignJson.nested(fields, "output_fields");
    String origin = ForeignJson.text(fields, "source");
    Map<String, String> words = new LinkedHashMap<>();
    ForeignJson.keep(words, "falco_source", origin, WORD);
    ForeignJson.keep(words, "uuid", fields.get("uuid"), UUID);
    ForeignJson.keep(words, "evt_type", output.get("evt.type"), WORD);
    ForeignJson.keep(words, "container_id", output.get("container.id"), CONTAINER);
    return new Signal(
        new Facts(Source.FALCO, rule, null, priority(fields)),
        AUDIT_LOG.equals(origin) ? account(output) : pod(output),
        ForeignJson.time(fields, "time"),
        words);
  }

  private static Priority priority(Map<String, @Nullable Object> fields) {
    String text = ForeignJson.required(ForeignJson.text(fields, "priority"), "priority");
    for (Priority priority : Priority.values()) {
      if (priority.name().equals(text.toUpperCase(Locale.ROOT))) {
        return priority;
      }
    }
    throw ForeignJson.invalid("priority", "must be one of Falco's priorities");
  }

  /** The container engine's names of the pod, or those of the plugin {@code k8smeta}. */
  private static About pod(Map<?, ?> output) {
    return SensorEvent.pod(
        either(output, "k8s.ns.name", "k8smeta.ns.name"),
        either(output, "k8s.pod.name", "k8smeta.pod.name"),
        either(output, "k8s.pod.uid", "k8smeta.pod.uid"));
  }

  private static @Nullable String either(Map<?, ?> output, String one, String other) {
    String text = ForeignJson.text(output, one);
    return text == null ? ForeignJson.text(output, other) : text;
  }

  private static About account(Map<?, ?> output) {
    String user = ForeignJson.text(output, "ka.user.name");
    return user != null && SERVICE_ACCOUNT.matcher(user).matches()
        ? new About.Account(null, user)
        : new About.Nobody();
  }
}
