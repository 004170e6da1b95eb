package io.valetkey.broker.problem;

import java.util.Locale;

/**
 * Every way we say no, once. The code is part of the wire contract: it appears in problem details
 * (RFC 9457), in {@code Valetkey-Error}, in audit records and in the catalogue of the
 * documentation. Never rename one.
 */
public enum ProblemCode {
  // The request itself.
  INVALID_REQUEST(400, false, "The request is malformed"),
  INVALID_JSON(400, false, "The body is not the JSON that is expected here"),
  INVALID_FIELD(400, false, "A field has a value that is not allowed"),
  UNKNOWN_REFERENCE(400, false, "A field refers to something that does not exist"),
  INVALID_PATH(400, false, "The path is not in canonical form"),
  SEVERAL_TOKENS(400, false, "More than one token was presented"),
  NOT_FOUND(404, false, "There is nothing here"),
  METHOD_NOT_ALLOWED(405, false, "The method is not supported here"),
  CONFLICT(409, false, "Something else stands in the way"),
  PRECONDITION_FAILED(412, false, "The resource is not in the expected state"),
  CONTENT_TOO_LARGE(413, false, "The body is too large"),
  URI_TOO_LONG(414, false, "The request line is too long"),
  UNSUPPORTED_MEDIA_TYPE(415, false, "The content type is not supported here"),
  EXPECTATION_FAILED(417, false, "The expectation cannot be met"),
  PRECONDITION_REQUIRED(428, false, "The request must say which state it expects"),
  HEADERS_TOO_LARGE(431, false, "The header section is too large"),

  // OAuth 2.0 (RFC 6749 section 5.2, RFC 8707, RFC 9449).
  INVALID_CLIENT(401, false, "The workload could not be authenticated"),
  INVALID_TARGET(400, false, "The destination cannot be requested"),
  INVALID_SCOPE(400, false, "The scope cannot be requested"),
  UNSUPPORTED_GRANT_TYPE(400, false, "The grant type is not supported"),
  INVALID_DPOP_PROOF(400, false, "The DPoP proof is not acceptable"),
  USE_DPOP_NONCE(400, true, "The DPoP proof must carry a nonce"),
  UNAUTHORIZED(401, false, "No token was presented"),
  INVALID_TOKEN(401, false, "The access token is not acceptable"),
  PROXY_UNAUTHORIZED(407, false, "The proxy was shown no acceptable access token"),
  INSUFFICIENT_SCOPE(403, false, "The token's scopes do not allow this request"),
  APPROVAL_REQUIRED(403, true, "Somebody has to approve this very request first"),
  APPROVAL_DENIED(403, false, "Somebody has denied this very request"),
  APPROVAL_IMPOSSIBLE(403, false, "A request of this kind cannot be approved"),
  APPROVALS_PENDING(429, true, "Too many requests wait for an approval"),
  FORBIDDEN(403, false, "The role does not allow this"),
  RATE_LIMITED(429, true, "The limit is used up for now"),
  BUDGET_EXCEEDED(429, true, "The budget of the grant is used up"),
  LEASE_LIMIT(429, true, "The agent has as many leases as it may have"),

  // Why an identity was not accepted: audit only, never on the wire.
  TOKEN_MALFORMED(400, false, "The identity token is not one canonical compact JWS"),
  ISSUER_UNKNOWN(400, false, "The issuer is not registered or disabled"),
  ALGORITHM_NOT_ALLOWED(400, false, "The issuer does not use this algorithm or type"),
  KEY_UNKNOWN(400, false, "The issuer has no such key"),
  SIGNATURE_INVALID(400, false, "The signature does not fit"),
  CLAIMS_INVALID(400, false, "A claim is missing or wrong"),
  TOKEN_EXPIRED(400, false, "The identity token has ended or is not valid yet"),
  AUDIENCE_MISMATCH(400, false, "The identity token is meant for somebody else"),
  TOKEN_REPLAYED(400, false, "The identity token was used before"),
  TOKEN_REVOKED(400, false, "The platform no longer vouches for the workload"),
  AGENT_UNKNOWN(400, false, "No agent has this identity"),
  AGENT_AMBIGUOUS(400, false, "Several agents have this identity"),
  AGENT_DISABLED(400, false, "The agent is disabled"),
  STOPPED(400, false, "A stop is in force"),

  // Why a destination was not granted: audit only, the wire says invalid_target or not_found.
  DESTINATION_UNKNOWN(404, false, "There is no such destination"),
  DESTINATION_DISABLED(404, false, "The destination is disabled"),
  NOT_GRANTED(404, false, "The agent has no grant on the destination"),
  GRANT_EXPIRED(404, false, "The grant has ended"),

  // Why a rule did not allow a request: audit only, the wire says insufficient_scope.
  CONDITION_FALSE(403, false, "The request is not what the rule asks for"),
  CONDITION_FAILED(403, false, "Whether the request is what the rule asks for cannot be told"),

  // Dependencies.
  TEMPORARILY_UNAVAILABLE(503, true, "Something we depend on did not answer"),
  AUDIT_UNAVAILABLE(503, true, "The audit trail did not accept the record in time"),
  ISSUER_UNAVAILABLE(503, true, "The issuer's keys or its review did not answer"),
  STOPS_STALE(503, true, "The view of stops is older than its bound"),
  LIMITS_UNAVAILABLE(503, true, "What is left of the limit is not known in time"),
  POLICY_STALE(503, true, "The view of the policy is older than its bound"),
  CREDENTIAL_UNAVAILABLE(503, true, "The credential cannot be had"),
  UPSTREAM_ADDRESS_REFUSED(
      502, false, "The destination resolves to an address that is not allowed"),
  UPSTREAM_UNREACHABLE(502, true, "The destination cannot be reached"),
  UPSTREAM_CERTIFICATE(502, false, "The destination's certificate was not accepted"),
  UPSTREAM_BROKEN(502, true, "The destination broke the exchange off"),
  UPSTREAM_CREDENTIAL_REJECTED(502, false, "The destination rejected the stored credential"),
  UPSTREAM_TIMEOUT(504, true, "The destination was too slow"),
  INTERNAL(500, false, "Something went wrong on our side");

  private final String code;
  private final int status;
  private final boolean retryable;
  private final String title;

  ProblemCode(int status, boolean retryable, String title) {
    this.code = name().toLowerCase(Locale.ROOT);
    this.status = status;
    this.retryable = retryable;
    this.title = title;
  }

  /**
   * What the holder of an access token may be told instead: an unknown destination and somebody
   * else's, a stopped token and a forged one look the same.
   */
  public ProblemCode toHolder() {
    return switch (this) {
      case DESTINATION_UNKNOWN, DESTINATION_DISABLED, NOT_GRANTED, GRANT_EXPIRED -> NOT_FOUND;
      case CONDITION_FALSE, CONDITION_FAILED -> INSUFFICIENT_SCOPE;
      case TOKEN_MALFORMED,
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
          INVALID_TOKEN;
      default -> this;
    };
  }

  /** The stable code, for example {@code invalid_target}. */
  public String code() {
    return code;
  }

  /** The HTTP status it has unless the endpoint's contract says otherwise. */
  public int status() {
    return status;
  }

  /** Whether the same request may succeed later without any change. */
  public boolean retryable() {
    return retryable;
  }

  /** One short sentence for people, the same for every occurrence (RFC 9457 section 3.1.3). */
  public String title() {
    return title;
  }
}
