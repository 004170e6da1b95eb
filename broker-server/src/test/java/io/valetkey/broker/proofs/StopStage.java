package io.valetkey.broker.proofs;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.awaitility.Awaitility;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a stop has to reach: a real HTTPS upstream that streams without end, never answers, or takes
 * bodies slowly; agents with tokens for it; and the admin API to stop them by.
 */
final class StopStage implements AutoCloseable {

  static final String KEY = "sk-real-0123456789";
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  final TestIssuer issuer = new TestIssuer("ci");
  final AtomicInteger open = new AtomicInteger();
  final AtomicInteger received = new AtomicInteger();
  final AtomicInteger stuck = new AtomicInteger();
  final AtomicLong flooded = new AtomicLong();
  private final HttpsServer upstream;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final Map<String, String> settings;
  volatile long eventMillis = 50;

  StopStage(Path folder) throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 2048);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(workers);
    upstream.createContext("/stream", counted(this::stream));
    upstream.createContext("/never", counted(exchange -> sleep(Duration.ofMinutes(5))));
    upstream.createContext("/upload", counted(this::upload));
    upstream.createContext("/download", counted(this::download));
    upstream.createContext("/flood", counted(this::flood));
    upstream.createContext("/stuck", counted(this::stuck));
    upstream.createContext("/ok", StopStage::ok);
    upstream.start();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("openai"), KEY + "\n");
    settings =
        Map.of(
            "valetkey.file-source.directory", files.toString(),
            "valetkey.gateway.private-origins", "127.0.0.0/8,::1/128",
            "valetkey.gateway.trusted-certificates", authority.writePem(folder).toString(),
            "valetkey.issuance.tokens-per-minute", "10000000",
            "valetkey.gateway.drain", "1s");
  }

  /** One more thing that the upstream does. */
  void serve(String path, HttpHandler handler) {
    upstream.createContext(path, handler);
  }

  /** The file with the authority that the upstream's certificate is of. */
  Path authority() {
    return Path.of(settings.get("valetkey.gateway.trusted-certificates"));
  }

  int upstreamPort() {
    return upstream.getAddress().getPort();
  }

  /** What makes a broker reach the upstream, and more. */
  Map<String, String> settings(String... more) {
    Map<String, String> all = new HashMap<>(settings);
    for (int i = 0; i < more.length; i += 2) {
      all.put(more[i], more[i + 1]);
    }
    return all;
  }

  /** Agents that may do everything at the upstream; the subject is the agent's name. */
  void writePolicy(RunningBroker broker, String... agents) throws Exception {
    writePolicyWithCredential(broker, "{\"source\":\"file\",\"name\":\"openai\"}", agents);
  }

  /** The same, with a credential from elsewhere. */
  void writePolicyWithCredential(RunningBroker broker, String credential, String... agents)
      throws Exception {
    Policies policies =
        new Policies(broker)
            .issuer(issuer)
            .destination(
                "openai",
                "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"timeout\":\"60s\",\"credential\":%s}"
                    .formatted(upstream.getAddress().getPort(), credential))
            .scope(
                "openai",
                "all",
                "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/**\"]}]}");
    for (String agent : agents) {
      policies
          .agent(agent, "ci", agent, "")
          .grant(agent + "-openai", agent, "openai", List.of("all"));
    }
    policies.await(broker);
  }

  /** An access token by the ordinary way. */
  String token(RunningBroker broker, String agent) throws Exception {
    return token(broker, agent, "openai");
  }

  /** An access token of this agent for this destination. */
  String token(RunningBroker broker, String agent, String destination) throws Exception {
    Map<String, String> form = Tokens.exchange(issuer.token(agent, broker.url()));
    form.put("audience", destination);
    Tokens.Answer answer = Tokens.ask(broker.url(), form);
    if (!answer.hasToken()) {
      throw new AssertionError(answer.http().body());
    }
    return answer.token();
  }

  /** Orders a stop over HTTP, at this broker. */
  static JsonNode order(RunningBroker broker, String target) throws Exception {
    return admin(
        broker, "POST", "/stops", "{\"target\":%s,\"reason\":\"a test\"}".formatted(target));
  }

  static JsonNode progress(RunningBroker broker, JsonNode stop) throws Exception {
    return admin(broker, "GET", "/stops/" + stop.get("id").asString(), null);
  }

  /** Waits until the stop says that it is acknowledged. */
  static JsonNode awaitAcknowledged(RunningBroker broker, JsonNode stop) {
    return Awaitility.await()
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(20))
        .until(() -> progress(broker, stop), answer -> answer.get("acknowledged").asBoolean());
  }

  static JsonNode admin(RunningBroker broker, String method, String path, String body)
      throws Exception {
    HttpResponse<String> answer = adminAnswer(broker, method, path, body);
    if (answer.statusCode() >= 300) {
      throw new AssertionError(answer.statusCode() + " " + answer.body());
    }
    return JsonMapper.shared().readTree(answer.body());
  }

  static HttpResponse<String> adminAnswer(
      RunningBroker broker, String method, String path, String body) throws Exception {
    return HTTP.send(
        HttpRequest.newBuilder(broker.api("/admin/v1" + path))
            .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
            .header("Content-Type", "application/json")
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  /** What makes a further replica answer under the names of the first. */
  Map<String, String> replicaOf(RunningBroker first, String... more) {
    Map<String, String> all = settings(more);
    all.put("valetkey.public-url", first.url());
    all.put("valetkey.gateway.public-url", first.gatewayUrl());
    return all;
  }

  /** The status of one request through a gateway. */
  static int use(String gatewayUrl, String token) throws Exception {
    return HTTP.send(
            HttpRequest.newBuilder(URI.create(gatewayUrl + "/d/openai/ok"))
                .timeout(Duration.ofSeconds(20))
                .header("Authorization", "Bearer " + token)
                .build(),
            BodyHandlers.discarding())
        .statusCode();
  }

  private HttpHandler counted(HttpHandler handler) {
    return exchange -> {
      open.incrementAndGet();
      received.incrementAndGet();
      try (exchange) {
        handler.handle(exchange);
      } finally {
        open.decrementAndGet();
      }
    };
  }

  private void stream(HttpExchange exchange) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream body = exchange.getResponseBody()) {
      for (int i = 0; ; i++) {
        body.write(("data: " + i + "\n\n").getBytes(StandardCharsets.UTF_8));
        body.flush();
        sleep(Duration.ofMillis(eventMillis));
      }
    }
  }

  /** A body of an announced length that comes slowly. */
  private void download(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, 1_000_000);
    try (OutputStream body = exchange.getResponseBody()) {
      for (int i = 0; i < 1000; i++) {
        body.write(new byte[1000]);
        body.flush();
        sleep(Duration.ofMillis(eventMillis));
      }
    }
  }

  /** Reads nothing. */
  private void stuck(HttpExchange ignored) throws IOException {
    stuck.incrementAndGet();
    try {
      sleep(Duration.ofSeconds(20));
    } finally {
      stuck.decrementAndGet();
    }
  }

  int port() {
    return upstream.getAddress().getPort();
  }

  /** As much as the other side takes. */
  private void flood(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream body = exchange.getResponseBody()) {
      byte[] piece = new byte[64 * 1024];
      while (true) {
        body.write(piece);
        flooded.addAndGet(piece.length);
      }
    }
  }

  private void upload(HttpExchange exchange) throws IOException {
    long bytes = exchange.getRequestBody().transferTo(OutputStream.nullOutputStream());
    exchange.sendResponseHeaders(200, -1);
    received.addAndGet((int) bytes);
  }

  private static void ok(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, -1);
    exchange.close();
  }

  private static void sleep(Duration time) throws IOException {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  @Override
  public void close() {
    upstream.stop(0);
    workers.shutdownNow();
  }
}
