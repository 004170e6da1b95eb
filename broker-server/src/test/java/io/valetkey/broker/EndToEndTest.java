package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.client.Valetkey;
import io.valetkey.realparts.TestAuthority;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
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
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The main job: the client library proves who it is, gets a token, and a request goes through the
 * gateway to a real HTTPS upstream that sees the real credential. Invariants: P1, P2, P8.
 */
class EndToEndTest {

  private static final String KEY = "sk-real-0123456789";
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private static Path folder;
  private static HttpsServer upstream;
  private static final List<Map<String, List<String>>> SEEN = new CopyOnWriteArrayList<>();
  private static RunningBroker broker;
  private static Policies policies;

  @BeforeAll
  static void start() throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", EndToEndTest::serve);
    upstream.start();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("openai"), KEY + "\n");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.file-source.directory", files.toString(),
                "valetkey.gateway.private-origins", "127.0.0.0/8,::1/128",
                "valetkey.gateway.trusted-certificates", authority.writePem(folder).toString()));
    String origin = "https://localhost:" + upstream.getAddress().getPort();
    policies =
        new Policies(broker)
            .issuer(ISSUER)
            .agent("bot", "ci", "bot-subject", "")
            .destination(
                "openai",
                "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}"
                    .formatted(origin))
            .scope(
                "openai",
                "chat",
                "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/v1/chat/completions\"]},"
                    + "{\"methods\":[\"GET\"],\"paths\":[\"/stream\"]}]}")
            .grant("bot-openai", "bot", "openai", List.of("chat"));
    policies.await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    upstream.stop(0);
  }

  private static void serve(HttpExchange exchange) throws IOException {
    SEEN.add(Map.copyOf(exchange.getRequestHeaders()));
    if (exchange.getRequestURI().getPath().equals("/stream")) {
      exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
      exchange.sendResponseHeaders(200, 0);
      try (OutputStream body = exchange.getResponseBody()) {
        for (int i = 0; i < 50; i++) {
          body.write(("data: " + i + "\n\n").getBytes(StandardCharsets.UTF_8));
          body.flush();
          Thread.sleep(100);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      return;
    }
    byte[] answer = exchange.getRequestBody().readAllBytes();
    exchange.sendResponseHeaders(200, answer.length);
    exchange.getResponseBody().write(answer);
    exchange.close();
  }

  private static Valetkey connect() {
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .gatewayUrl(broker.gatewayUrl())
        .identity(() -> ISSUER.token("bot-subject", broker.url()))
        .build();
  }

  @Test
  void allowedRequest_reachesTheUpstreamWithTheRealCredential() throws Exception {
    var openai = connect().destination("openai");

    HttpResponse<String> answer =
        openai
            .httpClient()
            .send(
                HttpRequest.newBuilder(openai.url("/v1/chat/completions"))
                    .POST(BodyPublishers.ofString("hello"))
                    .build(),
                BodyHandlers.ofString());

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("hello");
    assertThat(SEEN.getLast().get("Authorization")).containsExactly("Bearer " + KEY);
    assertThat(SEEN.toString()).doesNotContain(openai.token().value());
  }

  @Test
  void forbiddenPath_isRefusedBeforeTheUpstreamSeesAnything() throws Exception {
    var openai = connect().destination("openai");
    int before = SEEN.size();

    HttpResponse<String> answer =
        openai
            .httpClient()
            .send(
                HttpRequest.newBuilder(openai.url("/v1/models")).build(), BodyHandlers.ofString());

    assertThat(answer.statusCode()).isEqualTo(403);
    assertThat(answer.headers().firstValue("Valetkey-Error")).contains("insufficient_scope");
    assertThat(SEEN).hasSize(before);
  }

  @Test
  void withdrawnGrant_endsAnOpenStreamAndRefusesTheNextRequest() throws Exception {
    policies
        .agent("brief", "ci", "brief-subject", "")
        .grant("brief-openai", "brief", "openai", List.of("chat"))
        .await(broker);
    var openai =
        Valetkey.builder()
            .brokerUrl(broker.url())
            .gatewayUrl(broker.gatewayUrl())
            .identity(() -> ISSUER.token("brief-subject", broker.url()))
            .build()
            .destination("openai");
    var answer =
        openai
            .httpClient()
            .send(
                HttpRequest.newBuilder(openai.url("/stream")).build(),
                BodyHandlers.ofInputStream());
    assertThat(answer.statusCode()).isEqualTo(200);
    try (var lines = new BufferedReader(new InputStreamReader(answer.body()))) {
      assertThat(lines.readLine()).isEqualTo("data: 0");
      policies.write(
          "grant", "brief-openai", "DELETE FROM agent_grant WHERE name = ?", "brief-openai");
      int received = 0;
      try {
        while (lines.readLine() != null) {
          received++;
        }
        throw new AssertionError("the stream ended as if it were complete");
      } catch (IOException cut) {
        assertThat(received).isLessThan(60);
      }
    }
    assertThat(
            openai
                .httpClient()
                .send(
                    HttpRequest.newBuilder(openai.url("/stream")).build(), BodyHandlers.ofString())
                .statusCode())
        .isEqualTo(404);
  }
}
