package io.valetkey.quickstart;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Looks like an OpenAI-compatible API, over HTTPS with an authority of its own, and keeps a log of
 * what reached it: the only witness of what really arrived.
 */
final class DemoUpstream implements AutoCloseable {

  private static final JsonMapper JSON = new JsonMapper();
  private static final long EVENT_MILLIS = 200;
  private static final List<String> WORDS =
      List.of("A", " valet", " key", " starts", " the", " car", " only", ".");

  /**
   * One request that arrived.
   *
   * @param credential the first characters of the credential that came with it
   * @param authentic whether that was the real key
   * @param agentToken whether anything in its headers looked like a token of the agent
   */
  record Arrival(
      String method, String path, String credential, boolean authentic, boolean agentToken) {}

  private final UpstreamKey key;
  private final HttpsServer server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Arrival> arrivals = new CopyOnWriteArrayList<>();

  private DemoUpstream(UpstreamKey key, HttpsServer server) {
    this.key = key;
    this.server = server;
  }

  static DemoUpstream start(UpstreamKey key, TestAuthority authority) {
    try {
      HttpsServer server =
          HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      server.setHttpsConfigurator(
          new HttpsConfigurator(authority.server("localhost", Ports.LOOPBACK).serverContext()));
      var upstream = new DemoUpstream(key, server);
      server.setExecutor(upstream.threads);
      server.createContext("/", upstream::serve);
      server.start();
      return upstream;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Its origin, as a destination names it. */
  String origin() {
    return "https://localhost:" + server.getAddress().getPort();
  }

  /** What has arrived so far, in order. */
  List<Arrival> arrivals() {
    return List.copyOf(arrivals);
  }

  private void serve(HttpExchange exchange) throws IOException {
    try (exchange) {
      String authorization = exchange.getRequestHeaders().getFirst("Authorization");
      boolean authentic = key.isIn(authorization);
      boolean agentToken =
          exchange.getRequestHeaders().values().stream()
              .flatMap(List::stream)
              .anyMatch(value -> value.contains("eyJ"));
      String path = exchange.getRequestURI().getPath();
      String masked = UpstreamKey.masked(authorization);
      arrivals.add(new Arrival(exchange.getRequestMethod(), path, masked, authentic, agentToken));
      byte[] body = exchange.getRequestBody().readNBytes(1 << 20);
      if (!authentic) {
        answer(exchange, 401, error("Incorrect API key provided: " + masked));
        return;
      }
      switch (exchange.getRequestMethod() + " " + path) {
        case "POST /v1/chat/completions" -> chat(exchange, body, masked);
        case "GET /v1/models" ->
            answer(
                exchange,
                200,
                Map.of(
                    "object",
                    "list",
                    "data",
                    List.of(Map.of("id", "demo-model", "object", "model"))));
        default -> answer(exchange, 404, error("There is no such path"));
      }
    }
  }

  private static void chat(HttpExchange exchange, byte[] body, String masked) throws IOException {
    JsonNode request;
    try {
      request = JSON.readTree(body);
    } catch (JacksonException e) {
      answer(exchange, 400, error("The body is not JSON"));
      return;
    }
    if (request.path("stream").asBoolean(false)) {
      stream(exchange);
      return;
    }
    Map<String, Object> choice =
        Map.of(
            "index",
            0,
            "finish_reason",
            "stop",
            "message",
            Map.of("role", "assistant", "content", String.join("", WORDS)));
    answer(
        exchange,
        200,
        Map.of(
            "object",
            "chat.completion",
            "model",
            "demo-model",
            "choices",
            List.of(choice),
            "demo_credential_seen",
            masked));
  }

  private static void stream(HttpExchange exchange) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream body = exchange.getResponseBody()) {
      for (String word : WORDS) {
        Map<String, Object> choice = Map.of("index", 0, "delta", Map.of("content", word));
        event(
            body,
            JSON.writeValueAsString(
                Map.of("object", "chat.completion.chunk", "choices", List.of(choice))));
        Thread.sleep(EVENT_MILLIS);
      }
      event(body, "[DONE]");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void event(OutputStream body, String data) throws IOException {
    body.write(("data: " + data + "\n\n").getBytes(StandardCharsets.UTF_8));
    body.flush();
  }

  private static Map<String, Object> error(String message) {
    return Map.of("error", Map.of("message", message));
  }

  private static void answer(HttpExchange exchange, int status, Map<String, Object> body)
      throws IOException {
    byte[] bytes = JSON.writeValueAsBytes(body);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }
}
