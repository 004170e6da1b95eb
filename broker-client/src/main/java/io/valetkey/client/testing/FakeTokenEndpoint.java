package io.valetkey.client.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.net.URLDecoder;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** {@code POST /oauth2/token} by token exchange (RFC 8693), believing every identity. */
final class FakeTokenEndpoint {
  private static final String TYPE = "urn:ietf:params:oauth:token-type:";
  private static final String EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
  private static final Set<String> SUBJECT_TYPES =
      Set.of(TYPE + "jwt", TYPE + "id_token", TYPE + "access_token");
  private static final Pattern NAME = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  private static final Pattern JWS =
      Pattern.compile("[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+");
  private static final int MAX_BODY = 64 * 1024;

  private final FakeTokens tokens;
  private final AtomicInteger requests = new AtomicInteger();
  private final Map<String, String> denied = new ConcurrentHashMap<>();
  private volatile boolean offline;
  private volatile @Nullable Duration busy;

  FakeTokenEndpoint(FakeTokens tokens) {
    this.tokens = tokens;
  }

  void deny(String destination, String error) {
    denied.put(destination, error);
  }

  void allow(String destination) {
    denied.remove(destination);
  }

  boolean isDenied(String destination) {
    return denied.containsKey(destination);
  }

  boolean isOffline() {
    return offline;
  }

  @Nullable Duration busyFor() {
    return busy;
  }

  void offline(boolean away) {
    offline = away;
  }

  void busy(@Nullable Duration retryAfter) {
    busy = retryAfter;
  }

  int requests() {
    return requests.get();
  }

  void handle(HttpExchange exchange) throws IOException {
    requests.incrementAndGet();
    if (offline) {
      exchange.close();
      return;
    }
    Answer answer;
    try {
      answer = answer(exchange);
    } catch (OAuthError e) {
      answer = e.answer();
    }
    FakeValetkey.send(exchange, answer.with("Cache-Control", "no-store"));
  }

  private Answer answer(HttpExchange exchange) throws IOException, OAuthError {
    Duration wait = busy;
    if (wait != null) {
      return new OAuthError(503, "temporarily_unavailable", "busy")
          .answer()
          .with("Retry-After", Long.toString(wait.toSeconds()));
    }
    if (!exchange.getRequestMethod().equals("POST")) {
      return Answer.status(405).with("Allow", "POST");
    }
    String type = exchange.getRequestHeaders().getFirst("Content-Type");
    if (type == null || !type.startsWith("application/x-www-form-urlencoded")) {
      return Answer.status(415);
    }
    byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY + 1);
    if (body.length > MAX_BODY) {
      return Answer.status(413);
    }
    if (exchange.getRequestURI().getRawQuery() != null) {
      throw new OAuthError(400, "invalid_request", "parameters belong into the body");
    }
    Map<String, String> form = form(new String(body, UTF_8));
    if (!EXCHANGE.equals(form.get("grant_type"))) {
      throw new OAuthError(400, "unsupported_grant_type", "the fake knows token exchange only");
    }
    if (form.containsKey("actor_token")) {
      throw new OAuthError(400, "invalid_request", "actor_token is not supported");
    }
    if (!JWS.matcher(form.getOrDefault("subject_token", "")).matches()
        || !SUBJECT_TYPES.contains(form.getOrDefault("subject_token_type", ""))) {
      throw new OAuthError(400, "invalid_request", "subject token or its type");
    }
    return issue(destination(form), form.get("scope"));
  }

  private String destination(Map<String, String> form) throws OAuthError {
    String audience = form.get("audience");
    String resource = form.get("resource");
    if (resource != null) {
      String prefix = tokens.audience("");
      String named = resource.startsWith(prefix) ? resource.substring(prefix.length()) : "";
      if (audience != null && !audience.equals(named)) {
        throw new OAuthError(400, "invalid_target", "two destinations");
      }
      audience = named;
    }
    if (audience == null || !NAME.matcher(audience).matches()) {
      throw new OAuthError(400, "invalid_target", "no such destination");
    }
    String error = denied.get(audience);
    if (error != null) {
      throw new OAuthError(400, error, "denied by the test");
    }
    return audience;
  }

  private Answer issue(String destination, @Nullable String wanted) throws OAuthError {
    String scope = wanted == null ? "all" : wanted;
    for (String name : List.of(scope.split(" ", -1))) {
      if (!NAME.matcher(name).matches()) {
        throw new OAuthError(400, "invalid_scope", "no such scope");
      }
    }
    return Answer.json(
        "{\"access_token\":\""
            + tokens.issue(destination, scope)
            + "\",\"token_type\":\"Bearer\",\"expires_in\":"
            + tokens.life().toSeconds()
            + ",\"scope\":\""
            + scope
            + "\",\"issued_token_type\":\""
            + TYPE
            + "access_token\"}");
  }

  private static Map<String, String> form(String body) throws OAuthError {
    Map<String, String> form = new HashMap<>();
    for (String pair : body.split("&", -1)) {
      int equals = pair.indexOf('=');
      if (equals <= 0) {
        throw new OAuthError(400, "invalid_request", "not a form");
      }
      try {
        String name = URLDecoder.decode(pair.substring(0, equals), UTF_8);
        String value = URLDecoder.decode(pair.substring(equals + 1), UTF_8);
        if (form.put(name, value) != null) {
          throw new OAuthError(400, "invalid_request", "a parameter twice");
        }
      } catch (IllegalArgumentException e) {
        throw new OAuthError(400, "invalid_request", "not a form");
      }
    }
    return form;
  }

  /** A refusal on its way to the answer (RFC 6749 §5.2). */
  private static final class OAuthError extends Exception {
    private static final AtomicInteger IDS = new AtomicInteger();

    private final int status;
    private final String code;

    OAuthError(int status, String code, String description) {
      super(description);
      this.status = status;
      this.code = code;
    }

    Answer answer() {
      return new Answer(
          status,
          Map.of("Content-Type", "application/json"),
          String.format(
              "{\"error\":\"%s\",\"error_description\":\"%s\",\"decision_id\":\"fake-decision-%d\"}",
              code, getMessage(), IDS.incrementAndGet()));
    }
  }
}
