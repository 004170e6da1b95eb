package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import java.util.UUID;

/**
 * An answer that the gateway makes itself, as problem details (RFC 9457). It says which refusal it
 * is and never why: an audit record with the same decision id does.
 *
 * @param code the refusal as the caller may know it
 * @param decisionId links the answer to its record
 */
record GatewayProblem(ProblemCode code, UUID decisionId) {

  /**
   * The catalogue of problems is part of the documentation; a relative reference, as RFC 9457
   * allows.
   */
  private static final String CATALOGUE = "/problems/";

  private static final String CHALLENGE = "Bearer realm=\"valetkey\"";
  private static final String BASIC_CHALLENGE = "Basic realm=\"valetkey\"";
  private static final String RETRY_SECONDS = "1";

  /** The answer to a refusal for this true reason. */
  static GatewayProblem of(ProblemCode reason, UUID decisionId) {
    return new GatewayProblem(reason.toHolder(), decisionId);
  }

  /**
   * The same on the forward proxy's own leg, where every token that is missing or bad is asked for
   * in the same words (RFC 9110 section 15.5.8).
   */
  static GatewayProblem ofProxy(ProblemCode reason, UUID decisionId) {
    ProblemCode known = reason.toHolder();
    boolean token = known == ProblemCode.UNAUTHORIZED || known == ProblemCode.INVALID_TOKEN;
    return new GatewayProblem(token ? ProblemCode.PROXY_UNAUTHORIZED : known, decisionId);
  }

  /** The header fields besides those of the body. */
  Fields fields() {
    Fields fields =
        new Fields()
            .add("Content-Type", "application/problem+json")
            .add("Cache-Control", "no-store")
            .add("Valetkey-Error", code.code());
    switch (code) {
      // One challenge per line: git and others look for Basic first.
      case PROXY_UNAUTHORIZED ->
          fields.add("Proxy-Authenticate", BASIC_CHALLENGE).add("Proxy-Authenticate", CHALLENGE);
      // Basic too: git and others send a password only where it is asked for.
      case UNAUTHORIZED ->
          fields.add("WWW-Authenticate", CHALLENGE).add("WWW-Authenticate", BASIC_CHALLENGE);
      case INVALID_TOKEN, INSUFFICIENT_SCOPE ->
          fields.add("WWW-Authenticate", CHALLENGE + ", error=\"" + code.code() + "\"");
      default -> {
        if (code.status() == 429 || code.status() == 503) {
          fields.add("Retry-After", RETRY_SECONDS);
        }
      }
    }
    return fields;
  }

  /** The body; every part is a constant or a UUID, so nothing needs escaping. */
  String json() {
    return "{\"type\":\"%s%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"decision_id\":\"%s\"}"
        .formatted(CATALOGUE, code.code(), code.title(), code.status(), code.code(), decisionId);
  }
}
