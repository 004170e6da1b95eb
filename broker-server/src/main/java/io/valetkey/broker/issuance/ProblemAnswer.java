package io.valetkey.broker.issuance;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Refusals of the lease endpoints, as problem details (RFC 9457). The detail is said where it is
 * about the request's own form; the true reason of everything else stays in the audit record.
 */
final class ProblemAnswer {

  private static final Set<ProblemCode> ABOUT_THE_REQUEST =
      Set.of(
          ProblemCode.INVALID_REQUEST,
          ProblemCode.INVALID_JSON,
          ProblemCode.INVALID_FIELD,
          ProblemCode.INVALID_SCOPE,
          ProblemCode.INVALID_TARGET,
          ProblemCode.CONFLICT,
          ProblemCode.LEASE_LIMIT);

  private static final String CHALLENGE = "Bearer realm=\"valetkey\"";

  private ProblemAnswer() {}

  static void send(HttpServletResponse response, RefusedException refusal, UUID decisionId)
      throws IOException {
    ProblemCode code = refusal.code().toHolder();
    if (code == ProblemCode.UNAUTHORIZED) {
      response.setHeader("WWW-Authenticate", CHALLENGE);
    } else if (code == ProblemCode.INVALID_TOKEN || code == ProblemCode.INSUFFICIENT_SCOPE) {
      response.setHeader("WWW-Authenticate", CHALLENGE + ", error=\"" + code.code() + "\"");
    }
    if (code.retryable() || code == ProblemCode.CONFLICT) {
      response.setHeader("Retry-After", "1");
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("type", "/problems/" + code.code());
    answer.put("title", code.title());
    answer.put("status", code.status());
    answer.put("code", code.code());
    if (ABOUT_THE_REQUEST.contains(code)) {
      answer.put("detail", refusal.detail());
    }
    answer.put("decision_id", decisionId.toString());
    JsonAnswer.send(response, code.status(), answer, "application/problem+json");
  }
}
