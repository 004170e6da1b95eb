package io.valetkey.client;

import java.net.http.HttpHeaders;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Reads the token endpoint's answer (RFC 6749 §5, RFC 8693 §2.2). Only a well-formed OAuth error is
 * a refusal; whatever else arrives (a proxy's HTML, a redirect, half an answer) did not come from
 * the broker, so nobody said no and the caller may try again.
 */
final class TokenAnswer {
  /** The ceiling of the wire contract: an access token that claims to live longer is not ours. */
  static final long MAX_LIFE_SECONDS = 3600;

  private static final Set<String> ISSUED_TYPES =
      Set.of(
          "urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt");

  private final int status;
  private final HttpHeaders headers;
  private final byte[] body;
  private final Clock clock;

  TokenAnswer(int status, HttpHeaders headers, byte[] body, Clock clock) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.clock = clock;
  }

  AccessToken token(String destination, long sentAtMillis) {
    if (status != 200) {
      throw failure(destination);
    }
    Map<String, Object> json;
    try {
      json = Json.object(body);
    } catch (Json.MalformedException e) {
      throw notFromTheBroker("with something that is not a JSON object: " + e.getMessage());
    }
    String value = text(json, "access_token");
    if (!CompactJws.isWellFormed(value)) {
      throw notFromTheBroker("with an access_token that is not a JWT");
    }
    if (!text(json, "token_type").equalsIgnoreCase("Bearer")) {
      throw notFromTheBroker("with a token_type other than Bearer");
    }
    if (!ISSUED_TYPES.contains(text(json, "issued_token_type"))) {
      throw notFromTheBroker("with an unknown issued_token_type");
    }
    if (!(json.get("expires_in") instanceof Long seconds)
        || seconds <= 0
        || seconds > MAX_LIFE_SECONDS) {
      throw notFromTheBroker(
          "without an expires_in of whole seconds between 1 and " + MAX_LIFE_SECONDS);
    }
    List<String> scopes = List.of(text(json, "scope").split(" "));
    return new AccessToken(destination, value, scopes, sentAtMillis, sentAtMillis + seconds * 1000);
  }

  private String text(Map<String, Object> json, String name) {
    if (json.get(name) instanceof String text) {
      return text;
    }
    throw notFromTheBroker("without a string " + name);
  }

  private ValetkeyException failure(String destination) {
    Duration retryAfter = AnswerText.retryAfter(headers, clock);
    String error = null;
    String decisionId = null;
    String description = "";
    try {
      Map<String, Object> json = Json.object(body);
      error = AnswerText.code(json.get("error"));
      decisionId = AnswerText.decisionId(json.get("decision_id"));
      description = AnswerText.printable(json.get("error_description"));
    } catch (Json.MalformedException e) {
      // Not the broker's own answer; the status is all we know.
    }
    String message =
        "The broker answered "
            + status
            + (error == null ? "" : " " + error)
            + " for destination "
            + destination
            + (description.isEmpty() ? "" : ": " + description)
            + (decisionId == null ? "" : " (decision " + decisionId + ")");
    if (error != null
        && status >= 400
        && status < 500
        && status != 429
        && !error.equals("temporarily_unavailable")) {
      return new RefusedException(message, error, decisionId, null);
    }
    String hint = error == null && status < 500 ? ", not as OAuth; is the broker's URL right?" : "";
    return new UnavailableException(message + hint, error, decisionId, retryAfter, null);
  }

  private UnavailableException notFromTheBroker(String what) {
    return new UnavailableException(
        "The token endpoint answered " + status + " " + what + "; is the broker's URL right?",
        null);
  }
}
