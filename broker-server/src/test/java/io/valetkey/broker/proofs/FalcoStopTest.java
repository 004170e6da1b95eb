package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NeedsKubernetes;
import io.valetkey.realparts.RealKubernetes;
import io.valetkey.realparts.TestAuthority;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
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
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A pod of a real cluster gets a token and streams through the gateway; a sensor of that cluster
 * sees a command in it. Invariants: F1, F2, P2.
 */
@NeedsKubernetes
class FalcoStopTest {

  private static final Duration LIFE = Duration.ofMinutes(10);
  private static final HttpClient CLIENT = HttpClient.newHttpClient();

  @TempDir private static Path folder;
  private static RealKubernetes kubernetes;
  private static HttpsServer upstream;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    kubernetes = RealKubernetes.start();
    for (String namespace : List.of("team-a", "falco")) {
      kubernetes.createNamespace(namespace);
    }
    for (String name : List.of("claims-bot", "spared-bot")) {
      kubernetes.createServiceAccount("team-a", name);
    }
    kubernetes.createServiceAccount("falco", "falcosidekick");
    kubernetes.createServiceAccount("falco", "other");
    TestAuthority authority = TestAuthority.create("upstream");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", FalcoStopTest::stream);
    upstream.start();
    Path secrets = Files.createDirectory(folder.resolve("secrets"));
    Files.writeString(secrets.resolve("key"), "sk-real");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.file-source.directory",
                secrets.toString(),
                "valetkey.gateway.private-origins",
                "127.0.0.0/8,::1/128",
                "valetkey.gateway.trusted-certificates",
                authority.writePem(folder).toString(),
                "valetkey.signals.senders",
                "cluster=system:serviceaccount:falco:falcosidekick"));
    writePolicy();
  }

  private static void writePolicy() throws Exception {
    Path reviewer = Files.writeString(folder.resolve("reviewer"), kubernetes.reviewerToken());
    Map<String, Object> tls =
        Map.of("caCertificate", kubernetes.caPem(), "bearerTokenFile", reviewer.toString());
    Map<String, Object> keys = new HashMap<>(tls);
    keys.put("jwksUri", kubernetes.uri() + "/openid/v1/jwks");
    Map<String, Object> review = new HashMap<>(tls);
    review.put("apiServer", kubernetes.uri().toString());
    Map<String, Object> issuer = new LinkedHashMap<>();
    issuer.put("type", "kubernetes");
    issuer.put("issuer", kubernetes.issuer());
    issuer.put("keys", keys);
    issuer.put("tokenReview", review);
    new Policies(broker)
        .write(
            "issuer",
            "cluster",
            "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
            "cluster",
            JsonMapper.shared().writeValueAsString(issuer),
            kubernetes.issuer())
        .agent("bot", "cluster", "system:serviceaccount:team-a:claims-bot", "")
        .agent("spared", "cluster", "system:serviceaccount:team-a:spared-bot", "")
        .destination(
            "openai",
            Tokens.DESTINATION
                .formatted("x")
                .replace("api.x.test", "localhost:" + upstream.getAddress().getPort()))
        .scope("openai", "chat", "{\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/**\"]}]}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("spared-openai", "spared", "openai", List.of("chat"))
        .write(
            "signal-rule",
            "secrets",
            "INSERT INTO signal_rule (name, spec, version) VALUES (?, ?::jsonb, 1)",
            "secrets",
            "{\"source\":\"falco\",\"match\":{\"rule\":\"Read sensitive file untrusted\"},\"action\":\"stop\"}")
        .await(broker);
  }

  @AfterAll
  static void end() {
    broker.close();
    upstream.stop(0);
    kubernetes.close();
  }

  /** An answer that never ends by itself. */
  private static void stream(HttpExchange exchange) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
    exchange.sendResponseHeaders(200, 0);
    try (OutputStream out = exchange.getResponseBody()) {
      for (int i = 0; i < 3000; i++) {
        out.write(("data: " + i + "\n\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
        Thread.sleep(20);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private record Pod(String account, String name, String uid) {

    static Pod create(String account, String name) {
      return new Pod(account, name, kubernetes.createPod("team-a", name, account));
    }

    Tokens.Answer ask() throws Exception {
      String identity = kubernetes.createPodToken("team-a", account, broker.url(), LIFE, name, uid);
      return Tokens.ask(broker.url(), Tokens.exchange(identity));
    }

    /** Falco may know the pod's name and not its uid. */
    String event(String rule, boolean withUid) {
      return """
      {"output":"12:00:00: Warning Sensitive file opened","priority":"Warning","rule":"%s",
       "time":"2026-11-24T12:00:00.746609046Z","source":"syscall","hostname":"node-1","tags":["filesystem"],
       "output_fields":{"container.id":"8cff1c1639fc","evt.type":"openat","fd.name":"/etc/shadow",
         "k8s.ns.name":"team-a","k8s.pod.name":"%s","k8s.pod.uid":%s,"proc.cmdline":"cat /etc/shadow"}}
      """
          .formatted(rule, name, withUid ? '"' + uid + '"' : "null");
    }
  }

  private static String sensorToken(String account) {
    return kubernetes.createToken("falco", account, broker.url(), LIFE);
  }

  private static HttpResponse<String> send(String bearer, String event, String query)
      throws Exception {
    return CLIENT.send(
        HttpRequest.newBuilder(broker.api("/admin/v1/signals" + query))
            .header("Authorization", "Bearer " + bearer)
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(event))
            .build(),
        BodyHandlers.ofString());
  }

  private static void awaitSeen(Pod pod) throws Exception {
    try (var database = broker.database();
        var statement = database.prepareStatement("SELECT FROM pod_seen WHERE pod_uid = ?")) {
      statement.setString(1, pod.uid());
      for (int i = 0; i < 200; i++) {
        try (var rows = statement.executeQuery()) {
          if (rows.next()) {
            return;
          }
        }
        Thread.sleep(10);
      }
    }
    throw new AssertionError("the pod was not written down");
  }

  /** Reads a stream until it ends or breaks; null if it does neither in time. */
  private static @Nullable Long cutAfterNanos(CompletableFuture<Long> end, long begun)
      throws Exception {
    try {
      return end.get(10, TimeUnit.SECONDS) - begun;
    } catch (java.util.concurrent.TimeoutException e) {
      return null;
    }
  }

  private static CompletableFuture<Long> open(String token) throws Exception {
    var response =
        CLIENT.send(
            HttpRequest.newBuilder(broker.gateway("/d/openai/v1/stream"))
                .header("Authorization", "Bearer " + token)
                .build(),
            BodyHandlers.ofInputStream());
    assertThat(response.statusCode()).isEqualTo(200);
    var lines = new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8));
    assertThat(lines.readLine()).startsWith("data:");
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            while (lines.readLine() != null) {
              // Goes on until somebody ends it.
            }
          } catch (IOException cut) {
            // As a cut stream looks.
          }
          return System.nanoTime();
        },
        task -> Thread.ofVirtual().start(task));
  }

  @Test
  void eventAboutAnAgentsPod_stopsThatAgent_andCutsItsStream() throws Exception {
    Pod pod = Pod.create("claims-bot", "claims-bot-1");
    Tokens.Answer token = pod.ask();
    assertThat(token.status()).as(token.http().body()).isEqualTo(200);
    awaitSeen(pod);
    CompletableFuture<Long> stream = open(token.token());
    long begun = System.nanoTime();

    HttpResponse<String> answer =
        send(sensorToken("falcosidekick"), pod.event("Read sensitive file untrusted", false), "");

    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(202);
    JsonNode received = JsonMapper.shared().readTree(answer.body());
    assertThat(received.path("agent").asString()).isEqualTo("bot");
    assertThat(received.path("action").asString()).isEqualTo("stopped");
    Long cut = cutAfterNanos(stream, begun);
    assertThat(cut).as("the stream was cut").isNotNull().isLessThan(2_000_000_000L);
    System.out.printf("event sent -> stream cut: %d ms%n", cut / 1_000_000);
    assertThat(pod.ask().status()).as("no new token").isEqualTo(400);
    assertThat(
            Tokens.get(
                    broker.gateway("/d/openai/v1/stream"),
                    "Authorization",
                    "Bearer " + token.token())
                .status())
        .as("the old token is dead")
        .isEqualTo(401);
  }

  @Test
  void eventThatIsForgedOrAboutNobody_doesNothing() throws Exception {
    Pod pod = Pod.create("spared-bot", "spared-bot-1");
    Tokens.Answer token = pod.ask();
    assertThat(token.status()).as(token.http().body()).isEqualTo(200);
    awaitSeen(pod);
    CompletableFuture<Long> stream = open(token.token());
    String event = pod.event("Read sensitive file untrusted", true);
    String good = sensorToken("falcosidekick");
    String agents =
        kubernetes.createPodToken(
            "team-a", "spared-bot", broker.url(), LIFE, pod.name(), pod.uid());
    String elsewhere = kubernetes.createToken("falco", "falcosidekick", kubernetes.issuer(), LIFE);

    for (String bearer :
        List.of(agents, token.token(), sensorToken("other"), elsewhere, good + "x", "nonsense")) {
      assertThat(send(bearer, event, "").statusCode()).isEqualTo(401);
    }
    assertThat(send(good, event, "?issuer=other").statusCode()).isEqualTo(403);
    Pod unknown = new Pod("spared-bot", "spared-bot-2", "3f0c5a11-0000-4000-8000-000000000000");
    Pod impostor = new Pod("spared-bot", pod.name(), unknown.uid());
    for (Pod nobody : List.of(unknown, impostor)) {
      HttpResponse<String> answer =
          send(good, nobody.event("Read sensitive file untrusted", true), "");
      assertThat(answer.statusCode()).isEqualTo(202);
      assertThat(answer.body()).contains("\"action\":\"unmapped\"");
    }
    assertThat(send(good, pod.event("Another rule", true), "").body())
        .contains("\"action\":\"marked\"");

    Thread.sleep(1000);
    assertThat(stream).as("the stream goes on").isNotDone();
    assertThat(pod.ask().status()).isEqualTo(200);
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery("SELECT count(*) FROM stop WHERE target = 'spared'")) {
      rows.next();
      assertThat(rows.getInt(1)).isZero();
    }
  }
}
