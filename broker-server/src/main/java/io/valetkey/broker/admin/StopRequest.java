package io.valetkey.broker.admin;

import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.stop.StopTarget;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * What somebody wants stopped.
 *
 * @param target what
 * @param reason why, in their words
 * @param expiresAt when it ends by itself; never if null
 */
record StopRequest(StopTarget target, String reason, @Nullable Instant expiresAt) {

  /**
   * Reads it; the target need not exist, or not yet.
   *
   * @param now the time by the clock that ends stops; asked only if there is an end
   */
  static StopRequest read(ObjectNode document, Supplier<Instant> now) {
    return JsonFields.read(
        document,
        fields -> {
          StopTarget target =
              fields.required(
                  "target", fields.nested("target", StopRequest::target), StopTarget.EVERYTHING);
          Instant end = fields.time("expiresAt");
          if (end != null && !end.isAfter(now.get())) {
            fields.error("expiresAt", FieldError.INVALID_VALUE, "must be in the future");
          }
          return new StopRequest(target, reason(fields), end);
        });
  }

  /** Reads why a stop is lifted. */
  static String readReason(ObjectNode document) {
    return JsonFields.read(document, StopRequest::reason);
  }

  /** Why, in the words of whoever orders something. */
  static String reason(JsonFields fields) {
    String reason = fields.text("reason");
    if (reason == null) {
      return fields.required("reason", null, "");
    }
    if (!StopOrders.isReason(reason)) {
      fields.error(
          "reason",
          FieldError.INVALID_VALUE,
          "must be one line of 1 to " + StopOrders.LONGEST_REASON + " characters");
    }
    return reason;
  }

  private static StopTarget target(JsonFields fields) {
    List<StopTarget> targets = new ArrayList<>();
    named(fields, StopTarget.Kind.AGENT, targets);
    named(fields, StopTarget.Kind.DESTINATION, targets);
    named(fields, StopTarget.Kind.ISSUER, targets);
    named(fields, StopTarget.Kind.TOKEN, targets);
    Boolean everything = fields.flag("everything");
    if (everything != null) {
      targets.add(StopTarget.EVERYTHING);
      if (!everything) {
        fields.error("everything", FieldError.INVALID_VALUE, "must be true or left out");
      }
    }
    if (targets.size() != 1) {
      fields.error(
          "",
          FieldError.INVALID_VALUE,
          "must be exactly one of agent, destination, issuer, token and \"everything\": true");
    }
    return targets.isEmpty() ? StopTarget.EVERYTHING : targets.getFirst();
  }

  private static void named(JsonFields fields, StopTarget.Kind kind, List<StopTarget> targets) {
    String value = fields.text(kind.word());
    if (value == null) {
      return;
    }
    boolean fits =
        kind == StopTarget.Kind.TOKEN
            ? value.matches("[A-Za-z0-9._~-]{1,255}")
            : ResourceId.isName(value);
    if (!fits) {
      fields.error(kind.word(), FieldError.INVALID_VALUE, "is not a name that one could have");
    }
    targets.add(new StopTarget(kind, value));
  }

  /** The target as it is written. */
  static ObjectNode target(StopTarget target) {
    ObjectNode node = JsonAnswers.object();
    return target.kind() == StopTarget.Kind.EVERYTHING
        ? node.put("everything", true)
        : node.put(target.kind().word(), target.value());
  }

  ObjectNode document() {
    ObjectNode node = JsonAnswers.object();
    node.set("target", target(target));
    node.put("reason", reason);
    return node.put("expiresAt", expiresAt == null ? null : expiresAt.toString());
  }
}
