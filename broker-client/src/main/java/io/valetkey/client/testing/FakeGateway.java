package io.valetkey.client.testing;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/** {@code /d/{destination}/…}: checks the token as the gateway does, then answers as told. */
final class FakeGateway {
  private static final Set<String> SLOTS =
      Set.of(
          "authorization",
          "x-api-key",
          "api-key",
          "x-goog-api-key",
          "private-token",
          "valetkey-token");

  private final FakeTokens tokens;
  private final List<ReceivedRequest> received = new CopyOnWriteArrayList<>();
  private final Map<String, Function<ReceivedRequest, Answer>> upstreams =
      new ConcurrentHashMap<>();

  FakeGateway(FakeTokens tokens) {
    this.tokens = tokens;
  }

  void answer(String destination, Function<ReceivedRequest, Answer> upstream) {
    upstreams.put(destination, upstream);
  }

  List<ReceivedRequest> received() {
    return List.copyOf(received);
  }

  void handle(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
    String[] parts = exchange.getRequestURI().getRawPath().split("/", 4);
    String destination = parts.length > 2 ? parts[2] : "";
    Map<String, String> credentials = credentials(exchange.getRequestHeaders());
    Answer answer;
    if (credentials.isEmpty()) {
      answer = problem(401, "no_token").with("WWW-Authenticate", "Bearer realm=\"valetkey\"");
    } else if (credentials.size() > 1) {
      answer = problem(400, "several_tokens");
    } else if (!tokens.isGood(credentials.values().iterator().next(), destination)) {
      answer =
          problem(401, "invalid_token")
              .with("WWW-Authenticate", "Bearer realm=\"valetkey\", error=\"invalid_token\"");
    } else {
      String query = exchange.getRequestURI().getRawQuery();
      String path = "/" + (parts.length > 3 ? parts[3] : "") + (query == null ? "" : "?" + query);
      ReceivedRequest request =
          new ReceivedRequest(
              destination,
              exchange.getRequestMethod(),
              path,
              withoutCredentials(exchange.getRequestHeaders()),
              body);
      received.add(request);
      answer = upstreams.getOrDefault(destination, any -> Answer.json("{}")).apply(request);
    }
    FakeValetkey.send(exchange, answer);
  }

  private static Map<String, String> credentials(Headers headers) {
    Map<String, String> found = new HashMap<>();
    headers.forEach((name, values) -> {
      String lower = name.toLowerCase(Locale.ROOT);
      if (SLOTS.contains(lower)) {
        String value = String.join(",", values);
        boolean bearer = value.regionMatches(true, 0, "Bearer ", 0, 7);
        found.put(lower, lower.equals("authorization") && bearer ? value.substring(7) : value);
      }
    });
    return found;
  }

  private static Map<String, List<String>> withoutCredentials(Headers headers) {
    Map<String, List<String>> kept = new HashMap<>();
    headers.forEach((name, values) -> {
      String lower = name.toLowerCase(Locale.ROOT);
      if (!SLOTS.contains(lower)) {
        kept.put(lower, List.copyOf(values));
      }
    });
    return kept;
  }

  private static Answer problem(int status, String code) {
    return new Answer(
        status,
        Map.of("Content-Type", "application/problem+json", "Valetkey-Error", code),
        String.format("{\"status\":%d,\"code\":\"%s\"}", status, code));
  }
}
