package io.valetkey.broker;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * A real HTTPS upstream that speaks like OpenAI and Anthropic, remembers what reached it, and says
 * the credential back in a header.
 */
final class ProviderUpstream implements AutoCloseable {

  /** Under what a request's body is found among its headers. */
  static final String BODY = "(body)";

  static final String CHAT =
      """
      {"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[
       {"index":0,"finish_reason":"stop","logprobs":null,
        "message":{"role":"assistant","content":"hello","refusal":null}}]}\
      """;
  private static final String CHUNK =
      "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
          + "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},"
          + "\"finish_reason\":null}]}";
  private static final String MESSAGE =
      """
      {"id":"msg_1","type":"message","role":"assistant","model":"m","stop_reason":"end_turn",
       "stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1},
       "content":[{"type":"text","text":"hello"}]}\
      """;

  private final HttpsServer server;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Map<String, List<String>>> seen = new CopyOnWriteArrayList<>();
  private final AtomicInteger sent = new AtomicInteger();
  private volatile @Nullable Semaphore told;

  ProviderUpstream(TestAuthority authority) throws IOException {
    server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    server.setExecutor(workers);
    server.createContext("/v1/chat/completions", this::chat);
    server.createContext("/v1/messages", this::messages);
    server.start();
  }

  String origin() {
    return "https://localhost:" + server.getAddress().getPort();
  }

  /** The headers of the last request, and its {@link #BODY}. */
  Map<String, List<String>> last() {
    return seen.getLast();
  }

  /** How many requests came. */
  int count() {
    return seen.size();
  }

  /** From now on each event after the first one waits until it is {@link #next told}. */
  void stepwise() {
    told = new Semaphore(0);
    sent.set(0);
  }

  /** Lets one more event go out. */
  void next() {
    Objects.requireNonNull(told).release();
  }

  /** How many events have been sent. */
  int sent() {
    return sent.get();
  }

  private void chat(HttpExchange exchange) throws IOException {
    if (body(exchange).contains("\"stream\":true")) {
      events(
          exchange,
          "data: " + CHUNK.formatted("hel"),
          "data: " + CHUNK.formatted("lo"),
          "data: [DONE]");
    } else {
      json(exchange, CHAT);
    }
  }

  private void messages(HttpExchange exchange) throws IOException {
    if (!body(exchange).contains("\"stream\":true")) {
      json(exchange, MESSAGE);
      return;
    }
    String delta =
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            + "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}";
    events(
        exchange,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"
            + MESSAGE.replace("\n", "").replace("\"end_turn\"", "null")
            + "}",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
            + "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
        delta.formatted("hel"),
        delta.formatted("lo"),
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            + "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}");
  }

  private String body(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    Map<String, List<String>> request = new HashMap<>(exchange.getRequestHeaders());
    request.put(BODY, List.of(body));
    seen.add(request);
    for (String slot : List.of("Authorization", "X-api-key")) {
      String value = exchange.getRequestHeaders().getFirst(slot);
      if (value != null) {
        exchange.getResponseHeaders().set("X-Received", value);
      }
    }
    return body;
  }

  private static void json(HttpExchange exchange, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/json");
    exchange.sendResponseHeaders(200, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private void events(HttpExchange exchange, String... events) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream out = exchange.getResponseBody()) {
      Semaphore gate = told;
      for (String event : events) {
        if (gate != null && sent.get() > 0 && !gate.tryAcquire(1, TimeUnit.MINUTES)) {
          throw new IOException("nobody asked for the next event");
        }
        sent.incrementAndGet();
        out.write((event + "\n\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    server.stop(0);
    workers.shutdownNow();
  }
}
