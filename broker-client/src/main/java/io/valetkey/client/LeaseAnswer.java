package io.valetkey.client;

import java.net.http.HttpHeaders;
import java.net.http.HttpResponse;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Reads an answer of the lease endpoint. As with tokens, only the broker's own problem details (RFC
 * 9457, with a code) are a refusal; whatever else arrives was said by somebody else, and the caller
 * may try again.
 */
final class LeaseAnswer {
  private static final Pattern ID = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final int status;
  private final HttpHeaders headers;
  private final byte[] body;
  private final Clock clock;
  private final String destination;

  LeaseAnswer(HttpResponse<byte[]> answer, Clock clock, String destination) {
    this.status = answer.statusCode();
    this.headers = answer.headers();
    this.body = answer.body();
    this.clock = clock;
    this.destination = destination;
  }

  int status() {
    return status;
  }

  /** Whether the access token was refused: another one may be accepted. */
  boolean isTokenRefused() {
    return status == 401;
  }

  /** The lease that was handed out, with its secret. */
  Lease lease(LeaseCalls calls, long sentAtMillis) {
    if (status != 201) {
      throw failure();
    }
    Map<String, Object> json = object();
    String id = text(json, "id");
    if (!ID.matcher(id).matches()) {
      throw notFromTheBroker("with an id that is none");
    }
    return new Lease(
        calls, id, destination, text(json, "scope"), credential(json), life(json, sentAtMillis));
  }

  /** How long a lease lives, by the broker's count where it says so, else by the two clocks. */
  Lease.Life life(long sentAtMillis) {
    if (status != 200) {
      throw failure();
    }
    return life(object(), sentAtMillis);
  }

  private Lease.Life life(Map<String, Object> json, long sentAtMillis) {
    long expires;
    if (json.get("expires_in") instanceof Long seconds) {
      expires = sentAtMillis + seconds * 1000;
    } else {
      try {
        expires = Instant.parse(text(json, "expires_at")).toEpochMilli();
      } catch (DateTimeException e) {
        throw notFromTheBroker("with an expires_at that is no time");
      }
    }
    return new Lease.Life(sentAtMillis, expires, json.get("renewable") == Json.Literal.TRUE);
  }

  /** Whether the broker still holds the lease to be handed out. */
  boolean isActive() {
    if (status != 200) {
      throw failure();
    }
    return text(object(), "state").equals("active");
  }

  /** Members that are lists (chains of certificates) become one text, line by line. */
  private Map<String, String> credential(Map<String, Object> json) {
    if (!(json.get("credential") instanceof Map<?, ?> credential)) {
      throw notFromTheBroker("without a credential");
    }
    Map<String, String> members = new LinkedHashMap<>();
    credential.forEach((name, value) -> {
      if (value instanceof List<?> list) {
        members.put(
            String.valueOf(name),
            list.stream().map(String::valueOf).collect(Collectors.joining("\n")));
      } else if (!(value instanceof Json.Literal)) {
        members.put(String.valueOf(name), String.valueOf(value));
      }
    });
    return Collections.unmodifiableMap(members);
  }

  private Map<String, Object> object() {
    try {
      return Json.object(body);
    } catch (Json.MalformedException e) {
      throw notFromTheBroker("with something that is not a JSON object: " + e.getMessage());
    }
  }

  private String text(Map<String, Object> json, String name) {
    if (json.get(name) instanceof String text) {
      return text;
    }
    throw notFromTheBroker("without a string " + name);
  }

  /** The refusal that this answer is, or why it is none. */
  ValetkeyException failure() {
    String code = null;
    String decisionId = null;
    String detail = "";
    try {
      Map<String, Object> json = Json.object(body);
      code = AnswerText.code(json.get("code"));
      decisionId = AnswerText.decisionId(json.get("decision_id"));
      detail = AnswerText.printable(json.get("detail"));
    } catch (Json.MalformedException e) {
      // Not the broker's own answer; the status is all we know.
    }
    String message =
        "The broker answered "
            + status
            + (code == null ? "" : " " + code)
            + " for a lease of destination "
            + destination
            + (detail.isEmpty() ? "" : ": " + detail)
            + (code == null ? "" : whatToDo(code))
            + (decisionId == null ? "" : " (decision " + decisionId + ")");
    Duration retryAfter = AnswerText.retryAfter(headers, clock);
    // A conflict while a lease is handed out is another try under way: the next one is answered.
    if (code != null && status >= 400 && status < 500 && status != 429 && status != 409) {
      return new RefusedException(message, code, decisionId, null);
    }
    String hint = code == null && status < 500 ? "; is the broker's URL right?" : "";
    return new UnavailableException(message + hint, code, decisionId, retryAfter, null);
  }

  private static String whatToDo(String code) {
    return switch (code) {
      case "invalid_scope" ->
          "; a lease has exactly one scope: name it by Destination.withScopes(…)";
      case "lease_limit" ->
          "; close leases that are not needed, or have the scope's maxLive raised";
      case "not_found" -> "; there is no such destination or lease for this agent";
      case "invalid_token" -> "; the agent may have been stopped or disabled";
      default -> "";
    };
  }

  private UnavailableException notFromTheBroker(String what) {
    return new UnavailableException(
        "The lease endpoint answered " + status + " " + what + "; is the broker's URL right?",
        null);
  }
}
