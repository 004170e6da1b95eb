package io.valetkey.broker.issuance;

import io.valetkey.broker.problem.ProblemCode;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What the token endpoint says about a refusal (RFC 6749 section 5.2). The true reason stays in the
 * audit record: on the wire everything about an identity looks the same, and so do a destination
 * that does not exist and one that is not granted.
 *
 * @param status the HTTP status
 * @param error the OAuth error code
 * @param description one sentence for whoever debugs the client
 * @param retryAfterSeconds the {@code Retry-After}, if there is one
 */
record OAuthError(
    int status, String error, String description, @Nullable Integer retryAfterSeconds) {

  private static final int SHORT_WHILE = 1;
  private static final int LIMIT_PAUSE = 5;

  /**
   * The answer to a refusal.
   *
   * @param way the way in, or null if the request did not get so far as to have one
   * @param detail the detail of the refusal; only said where it is about the request's own form
   */
  static OAuthError of(ProblemCode code, String detail, TokenRequest.@Nullable Way way) {
    return switch (code) {
      case INVALID_REQUEST, UNSUPPORTED_GRANT_TYPE ->
          new OAuthError(400, code.code(), detail, null);
      case INVALID_DPOP_PROOF, USE_DPOP_NONCE -> new OAuthError(400, code.code(), detail, null);
      case INVALID_TARGET, DESTINATION_UNKNOWN, DESTINATION_DISABLED, NOT_GRANTED, GRANT_EXPIRED ->
          new OAuthError(
              400,
              "invalid_target",
              "The destination does not exist or the agent has no grant on it",
              null);
      case INVALID_SCOPE ->
          new OAuthError(400, "invalid_scope", "The scope does not exist or is not granted", null);
      case RATE_LIMITED ->
          new OAuthError(429, "rate_limited", "The agent asks for too many tokens", LIMIT_PAUSE);
      case METHOD_NOT_ALLOWED, CONTENT_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, HEADERS_TOO_LARGE ->
          new OAuthError(code.status(), "invalid_request", detail, null);
      case TEMPORARILY_UNAVAILABLE,
          AUDIT_UNAVAILABLE,
          ISSUER_UNAVAILABLE,
          STOPS_STALE,
          POLICY_STALE,
          LIMITS_UNAVAILABLE ->
          new OAuthError(
              503,
              "temporarily_unavailable",
              "Something the broker depends on did not answer; try again",
              SHORT_WHILE);
      case INVALID_CLIENT,
          TOKEN_MALFORMED,
          ISSUER_UNKNOWN,
          ALGORITHM_NOT_ALLOWED,
          KEY_UNKNOWN,
          SIGNATURE_INVALID,
          CLAIMS_INVALID,
          TOKEN_EXPIRED,
          AUDIENCE_MISMATCH,
          TOKEN_REPLAYED,
          TOKEN_REVOKED,
          AGENT_UNKNOWN,
          AGENT_AMBIGUOUS,
          AGENT_DISABLED,
          STOPPED ->
          identity(way);
      case INVALID_JSON,
          INVALID_FIELD,
          UNKNOWN_REFERENCE,
          INVALID_PATH,
          SEVERAL_TOKENS,
          NOT_FOUND,
          CONFLICT,
          PRECONDITION_FAILED,
          URI_TOO_LONG,
          EXPECTATION_FAILED,
          PRECONDITION_REQUIRED,
          UNAUTHORIZED,
          PROXY_UNAUTHORIZED,
          INVALID_TOKEN,
          INSUFFICIENT_SCOPE,
          CONDITION_FALSE,
          CONDITION_FAILED,
          FORBIDDEN,
          APPROVAL_REQUIRED,
          APPROVAL_DENIED,
          APPROVAL_IMPOSSIBLE,
          APPROVALS_PENDING,
          LEASE_LIMIT,
          BUDGET_EXCEEDED,
          CREDENTIAL_UNAVAILABLE,
          UPSTREAM_ADDRESS_REFUSED,
          UPSTREAM_UNREACHABLE,
          UPSTREAM_CERTIFICATE,
          UPSTREAM_BROKEN,
          UPSTREAM_CREDENTIAL_REJECTED,
          UPSTREAM_TIMEOUT,
          INTERNAL ->
          new OAuthError(500, "server_error", "Something went wrong on our side", null);
    };
  }

  private static OAuthError identity(TokenRequest.@Nullable Way way) {
    return switch (way) {
      case TOKEN_EXCHANGE ->
          new OAuthError(400, "invalid_request", "The subject token is not acceptable", null);
      case CLIENT_CERTIFICATE ->
          new OAuthError(401, "invalid_client", "The client certificate is not acceptable", null);
      case CLIENT_CREDENTIALS ->
          new OAuthError(401, "invalid_client", "The client assertion is not acceptable", null);
      case null ->
          new OAuthError(401, "invalid_client", "The client assertion is not acceptable", null);
    };
  }

  /** Sends it, with the id under which the audit record is found. */
  void send(HttpServletResponse response, UUID decisionId) throws IOException {
    if (retryAfterSeconds != null) {
      response.setHeader("Retry-After", String.valueOf(retryAfterSeconds));
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("error", error);
    answer.put("error_description", description);
    answer.put("decision_id", decisionId.toString());
    JsonAnswer.send(response, status, answer);
  }
}
