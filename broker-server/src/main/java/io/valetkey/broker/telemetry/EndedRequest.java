package io.valetkey.broker.telemetry;

import io.valetkey.broker.problem.ProblemCode;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A request that has ended, in names only.
 *
 * @param action the action of its audit record, for example {@code token.issue}
 * @param decisionId the id that the caller was told
 * @param agent the verified agent, once known
 * @param destination the destination, once known as one of the policy's
 * @param method the HTTP method, once accepted as one
 * @param reason why it was not served; null if it was
 * @param status the upstream's status, or 0 if there was none
 * @param trace its steps
 * @param traceparent what the caller sent as {@code traceparent}, whatever that is
 */
public record EndedRequest(
    String action,
    UUID decisionId,
    @Nullable String agent,
    @Nullable String destination,
    @Nullable String method,
    @Nullable ProblemCode reason,
    int status,
    Trace trace,
    @Nullable String traceparent) {

  /** Whether it failed rather than was refused. */
  boolean failed() {
    return reason != null && reason.status() >= 500;
  }

  String outcome() {
    if (reason == null) {
      return "granted";
    }
    return failed() ? "failed" : "refused";
  }
}
