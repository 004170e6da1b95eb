package io.valetkey.client.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * {@code /v1/leases} for the holders of the fake's tokens: hands out, renews, takes back, and gives
 * the same {@code Idempotency-Key} another lease after taking the first one back.
 */
final class FakeLeases {
  private static final Pattern DESTINATION = Pattern.compile("\"destination\":\"([a-z0-9-]+)\"");
  private static final Pattern SCOPE = Pattern.compile("\"scope\":\"([a-z0-9-]+)\"");

  private final FakeTokens tokens;
  private final FakeTokenEndpoint endpoint;
  private final Duration life;
  private final Duration maxLife;
  private final Clock clock;
  private final Map<String, Source> sources = new ConcurrentHashMap<>();

  // Guarded by this.
  private final Map<String, Handed> leases = new LinkedHashMap<>();
  private boolean loseNext;

  private record Source(String url, Supplier<Map<String, String>> credential) {}

  /** One lease, as the broker's database would have it: without the secret. */
  private static final class Handed {
    private final String id = UUID.randomUUID().toString();
    private final String destination;
    private final String scope;
    private final String key;
    private final Instant maxExpiresAt;
    private Instant expiresAt;
    private boolean revoked;

    Handed(String destination, String scope, String key, Instant expires, Instant maxExpires) {
      this.destination = destination;
      this.scope = scope;
      this.key = key;
      this.expiresAt = expires;
      this.maxExpiresAt = maxExpires;
    }
  }

  FakeLeases(
      FakeTokens tokens, FakeTokenEndpoint endpoint, Duration life, Duration maxLife, Clock clock) {
    this.tokens = tokens;
    this.endpoint = endpoint;
    this.life = life;
    this.maxLife = maxLife;
    this.clock = clock;
  }

  void hand(String destination, String url, Supplier<Map<String, String>> credential) {
    sources.put(destination, new Source(url, credential));
  }

  synchronized void revokeAll() {
    leases.values().forEach(lease -> lease.revoked = true);
  }

  synchronized void loseNext() {
    loseNext = true;
  }

  synchronized int live() {
    return (int) leases.values().stream().filter(this::isLive).count();
  }

  synchronized int issued() {
    return leases.size();
  }

  private boolean isLive(Handed lease) {
    return !lease.revoked && clock.instant().isBefore(lease.expiresAt);
  }

  void handle(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
    if (endpoint.isOffline()) {
      exchange.close();
      return;
    }
    Answer answer = answer(exchange, body);
    if (answer == null) {
      exchange.close();
      return;
    }
    FakeValetkey.send(exchange, answer.with("Cache-Control", "no-store"));
  }

  /** Null if the answer gets lost. */
  private synchronized @Nullable Answer answer(HttpExchange exchange, String body) {
    Duration wait = endpoint.busyFor();
    if (wait != null) {
      return problem(503, "temporarily_unavailable")
          .with("Retry-After", Long.toString(wait.toSeconds()));
    }
    String authorization = exchange.getRequestHeaders().getFirst("Authorization");
    String token =
        authorization != null && authorization.startsWith("Bearer ")
            ? authorization.substring("Bearer ".length())
            : "";
    String[] path = exchange.getRequestURI().getRawPath().split("/", -1);
    String method = exchange.getRequestMethod();
    if (path.length == 3 && method.equals("POST")) {
      String key = exchange.getRequestHeaders().getFirst("Idempotency-Key");
      return create(token, body, key == null ? UUID.randomUUID().toString() : key);
    }
    Handed lease = path.length > 3 ? leases.get(path[3]) : null;
    if (lease == null || !tokens.isGood(token, lease.destination)) {
      return lease == null ? problem(404, "not_found") : invalidToken();
    }
    if (path.length == 5 && path[4].equals("renew") && method.equals("POST")) {
      return renew(lease);
    } else if (path.length == 4 && method.equals("GET")) {
      return Answer.json(document(lease) + "}");
    } else if (path.length == 4 && method.equals("DELETE")) {
      lease.revoked = true;
      return Answer.status(204);
    }
    return problem(405, "method_not_allowed");
  }

  private @Nullable Answer create(String token, String body, String key) {
    Matcher named = DESTINATION.matcher(body);
    if (!named.find()) {
      return problem(400, "invalid_field");
    }
    String destination = named.group(1);
    if (!tokens.isGood(token, destination)) {
      return invalidToken();
    }
    if (endpoint.isDenied(destination)) {
      return problem(404, "not_found");
    }
    for (Handed before : leases.values()) {
      before.revoked |= before.destination.equals(destination) && before.key.equals(key);
    }
    Matcher scope = SCOPE.matcher(body);
    Instant now = clock.instant();
    Handed lease =
        new Handed(
            destination,
            scope.find() ? scope.group(1) : "all",
            key,
            now.plus(life),
            now.plus(maxLife));
    leases.put(lease.id, lease);
    if (loseNext) {
      loseNext = false;
      return null;
    }
    String json = document(lease) + ",\"credential\":" + credential(destination) + "}";
    return new Answer(201, Map.of("Content-Type", "application/json"), json);
  }

  private Answer renew(Handed lease) {
    Instant longer = clock.instant().plus(life);
    longer = longer.isAfter(lease.maxExpiresAt) ? lease.maxExpiresAt : longer;
    if (!isLive(lease) || !clock.instant().isBefore(lease.maxExpiresAt)) {
      return problem(409, "conflict").with("Retry-After", "1");
    }
    lease.expiresAt = longer.isAfter(lease.expiresAt) ? longer : lease.expiresAt;
    return Answer.json(document(lease) + "}");
  }

  private String credential(String destination) {
    Source source = sources.get(destination);
    String url = source == null ? "postgresql://localhost:5432/" + destination : source.url();
    Map<String, String> members =
        source == null
            ? Map.of(
                "username", "v-fake-" + leases.size(), "password", UUID.randomUUID().toString())
            : source.credential().get();
    StringBuilder json = new StringBuilder("{\"type\":\"fake\",\"url\":").append(quoted(url));
    members.forEach(
        (name, value) -> json.append(',').append(quoted(name)).append(':').append(quoted(value)));
    return json.append('}').toString();
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < ' ' || c == '"' || c == '\\') {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  /** Without its closing brace. */
  private String document(Handed lease) {
    Duration left = Duration.between(clock.instant(), lease.expiresAt);
    return String.format(
        "{\"id\":\"%s\",\"destination\":\"%s\",\"scope\":\"%s\",\"state\":\"%s\","
            + "\"expires_at\":\"%s\",\"expires_in\":%d,\"renewable\":%s",
        lease.id,
        lease.destination,
        lease.scope,
        isLive(lease) ? "active" : "revoked",
        lease.expiresAt,
        Math.max(0, left.toSeconds()),
        isLive(lease) && clock.instant().isBefore(lease.maxExpiresAt));
  }

  private static Answer invalidToken() {
    return problem(401, "invalid_token")
        .with("WWW-Authenticate", "Bearer realm=\"valetkey\", error=\"invalid_token\"");
  }

  private static Answer problem(int status, String code) {
    return new Answer(
        status,
        Map.of("Content-Type", "application/problem+json"),
        String.format("{\"status\":%d,\"code\":\"%s\"}", status, code));
  }
}
