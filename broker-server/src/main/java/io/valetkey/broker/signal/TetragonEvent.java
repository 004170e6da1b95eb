package io.valetkey.broker.signal;

import io.valetkey.broker.policy.SignalRule.Facts;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One line of Tetragon's JSON export. Kept are the type of event, the tracing policy, the time, the
 * pod and some words; never the binary, its arguments or those of the traced function.
 */
final class TetragonEvent {

  private static final Set<String> TYPES =
      Set.of(
          "process_exec",
          "process_exit",
          "process_kprobe",
          "process_tracepoint",
          "process_uprobe",
          "process_usdt",
          "process_lsm",
          "process_loader");
  private static final Pattern FUNCTION = Pattern.compile("[A-Za-z0-9_]{1,64}");
  private static final Pattern CONTAINER = Pattern.compile("[a-z-]{1,20}://[0-9a-f]{12,64}");

  private TetragonEvent() {}

  static boolean isOne(Map<String, @Nullable Object> fields) {
    return fields.keySet().stream().anyMatch(TYPES::contains);
  }

  static Signal read(Map<String, @Nullable Object> fields) {
    List<String> types = fields.keySet().stream().filter(TYPES::contains).toList();
    if (types.size() != 1) {
      throw ForeignJson.invalid("process_…", "must be there once");
    }
    String type = types.getFirst();
    Map<?, ?> event = ForeignJson.nested(fields, type);
    Map<?, ?> pod = ForeignJson.nested(ForeignJson.nested(event, "process"), "pod");
    Map<String, String> words = new LinkedHashMap<>();
    ForeignJson.keep(words, "function", event.get("function_name"), FUNCTION);
    ForeignJson.keep(
        words, "container_id", ForeignJson.nested(pod, "container").get("id"), CONTAINER);
    return new Signal(
        new Facts(Source.TETRAGON, ForeignJson.name(event, "policy_name"), type, null),
        SensorEvent.pod(
            ForeignJson.text(pod, "namespace"),
            ForeignJson.text(pod, "name"),
            ForeignJson.text(pod, "uid")),
        ForeignJson.time(fields, "time"),
        words);
  }
}
