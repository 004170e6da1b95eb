package io.valetkey.broker.console;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.client.Destination;
import io.valetkey.client.Valetkey;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A broker with an upstream that streams for ever, and agents that really use it. */
final class ConsoleWorld implements AutoCloseable {

  private final TestIssuer issuer = new TestIssuer("ci");
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpsServer upstream;
  private final Map<String, String> settings = new HashMap<>();
  final RunningBroker broker;
  final Policies policies;

  ConsoleWorld(Path folder, Map<String, String> more) throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(workers);
    upstream.createContext("/", ConsoleWorld::serve);
    upstream.start();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("openai"), "sk-real-0123456789\n");
    settings.put("valetkey.file-source.directory", files.toString());
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8,::1/128");
    settings.put("valetkey.gateway.trusted-certificates", authority.writePem(folder).toString());
    settings.putAll(more);
    broker = RunningBroker.start(settings);
    policies = new Policies(broker).issuer(issuer);
    destination("openai");
    policies.scope(
        "openai",
        "chat",
        "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/v1/chat/completions\"]}]}");
    agent("claims-bot", "repo:acme/claims:ref:refs/heads/main");
    policies.grant("claims-bot-openai", "claims-bot", "openai", List.of("chat"));
    policies.await(broker);
  }

  void destination(String name) {
    policies.destination(
        name,
        "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}"
            .formatted(upstream.getAddress().getPort()));
  }

  void agent(String name, String subject) {
    policies.agent(name, "ci", subject.replace("\\", "\\\\").replace("\"", "\\\""), "");
  }

  RunningBroker replica() {
    return broker.replica(settings);
  }

  Destination openai(String subject) {
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .gatewayUrl(broker.gatewayUrl())
        .identity(() -> issuer.token(subject, broker.url()))
        .build()
        .destination("openai");
  }

  static HttpResponse<String> send(Destination openai, String method, String path)
      throws Exception {
    return openai
        .httpClient()
        .send(
            HttpRequest.newBuilder(openai.url(path))
                .method(
                    method,
                    method.equals("GET") ? BodyPublishers.noBody() : BodyPublishers.ofString("{}"))
                .build(),
            BodyHandlers.ofString());
  }

  /** An exchange that goes on until somebody cuts it; completes when it ended. */
  CompletableFuture<String> stream(Destination openai) throws Exception {
    HttpResponse<InputStream> answer =
        openai
            .httpClient()
            .send(
                HttpRequest.newBuilder(openai.url("/v1/chat/completions"))
                    .POST(BodyPublishers.ofString("stream"))
                    .build(),
                BodyHandlers.ofInputStream());
    return CompletableFuture.supplyAsync(
        () -> {
          try (InputStream body = answer.body()) {
            while (body.read() >= 0) {
              // It goes on.
            }
            return "ended";
          } catch (IOException e) {
            return "cut";
          }
        },
        workers);
  }

  private static void serve(HttpExchange exchange) throws IOException {
    String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
    if (!body.equals("stream")) {
      byte[] answer = "{}".getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
      exchange.close();
      return;
    }
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream out = exchange.getResponseBody()) {
      for (int i = 0; i < 1200; i++) {
        out.write(("data: " + i + "\n\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
        Thread.sleep(100);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    broker.close();
    upstream.stop(0);
    workers.shutdownNow();
  }
}
