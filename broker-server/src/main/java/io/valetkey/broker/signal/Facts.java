package io.valetkey.broker.signal;

import io.valetkey.broker.policy.SignalRule;
import io.valetkey.broker.policy.SignalRuleSpec.Priority;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import io.valetkey.broker.signal.Signal.About;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** How a signal is written down: everything that is kept of it, and nothing else. */
final class Facts {

  private Facts() {}

  static Timeline.Entry entry(
      Received received,
      Instant receivedAt,
      Signal signal,
      Sender sender,
      @Nullable SignalRule rule) {
    return new Timeline.Entry(
        received,
        receivedAt,
        signal.occurredAt(),
        source(signal),
        sender.name(),
        sender.cluster(),
        rule == null ? null : rule.name(),
        node(signal));
  }

  private static ObjectNode node(Signal signal) {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    SignalRule.Facts facts = signal.facts();
    put(node, "rule", facts.rule());
    put(node, "event", facts.event());
    put(node, "priority", facts.priority() == null ? null : lower(facts.priority()));
    if (signal.about() instanceof About.Pod(var namespace, var name, var uid)) {
      put(node, "namespace", namespace);
      put(node, "pod", name);
      put(node, "pod_uid", uid);
    }
    if (signal.about() instanceof About.Account(var iss, var subject) && iss == null) {
      put(node, "subject", subject); // an account of the cluster; what a provider names is a person
    }
    signal.words().forEach(node::put);
    return node;
  }

  /** A signal of a pod as it was written down. */
  static Signal signal(Timeline.Entry entry) {
    Map<String, String> words = new LinkedHashMap<>();
    entry
        .facts()
        .properties()
        .forEach(fact -> words.put(fact.getKey(), fact.getValue().asString()));
    String priority = words.remove("priority");
    var facts =
        new SignalRule.Facts(
            Source.valueOf(upper(entry.source())),
            words.remove("rule"),
            words.remove("event"),
            priority == null ? null : Priority.valueOf(upper(priority)));
    var about =
        SensorEvent.pod(words.remove("namespace"), words.remove("pod"), words.remove("pod_uid"));
    return new Signal(facts, about, entry.occurredAt(), words);
  }

  private static String upper(String word) {
    return word.toUpperCase(Locale.ROOT);
  }

  /** One line for people, such as the reason of a stop. */
  static String words(Signal signal) {
    SignalRule.Facts facts = signal.facts();
    StringBuilder words = new StringBuilder(source(signal));
    if (facts.rule() != null) {
      words.append(" “").append(facts.rule()).append('”');
    }
    if (facts.event() != null) {
      words.append(' ').append(facts.event());
    }
    if (facts.priority() != null) {
      words.append(", ").append(lower(facts.priority()));
    }
    if (signal.about() instanceof About.Pod pod) {
      words.append(", pod ").append(pod.namespace()).append('/').append(pod.name());
    }
    return words.toString();
  }

  private static String source(Signal signal) {
    return lower(signal.facts().source());
  }

  private static String lower(Enum<?> word) {
    return word.name().toLowerCase(Locale.ROOT);
  }

  private static void put(ObjectNode node, String name, @Nullable String value) {
    if (value != null) {
      node.put(name, value);
    }
  }
}
