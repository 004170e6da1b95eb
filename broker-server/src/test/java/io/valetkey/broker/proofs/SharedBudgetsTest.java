package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.sun.net.httpserver.HttpExchange;
import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.limit.Budget;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Budgets of a grant hold over two gateways, whatever an answer says of its cost or does not say.
 * Invariants: D18, D19, D20.
 */
class SharedBudgetsTest {

  private static final int CLIENTS = 64;

  /** What each of the answers below says that it has cost. */
  private static final int COST = 50;

  private static final String OPENAI =
      "{\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":{\\\"total_tokens\\\":1}}\"}}],"
          + "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":30,\"total_tokens\":50}}";
  private static final String ANTHROPIC =
      "{\"type\":\"message\",\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":10,\"output_tokens\":20}}";
  private static final String OPENAI_EVENTS =
      "data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}],\"usage\":null}\n\n"
          + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":30,\"total_tokens\":50}}\n\n"
          + "data: [DONE]\n\n";
  private static final String ANTHROPIC_EVENTS =
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\n"
          + "event: content_block_delta\ndata: {\"delta\":{\"text\":\"hello\"}}\n\n"
          + "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":30}}\n\n";

  @TempDir private Path folder;
  private StopStage stage;
  private RunningBroker first;
  private RunningBroker second;
  private HttpClient client;
  private String token;

  @BeforeEach
  void start() throws Exception {
    keepClearOfMidnight();
    stage = new StopStage(folder);
    stage.serve("/v1/openai", answer("application/json", OPENAI));
    stage.serve("/v1/anthropic", answer("application/json", ANTHROPIC));
    stage.serve("/v1/openai-events", answer("text/event-stream", OPENAI_EVENTS));
    stage.serve(
        "/v1/anthropic-events", answer("text/event-stream; charset=utf-8", ANTHROPIC_EVENTS));
    first = RunningBroker.start(stage.settings());
    stage.writePolicy(first, "bot", "other");
    second = first.replica(stage.replicaOf(first));
    client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    token = stage.token(first, "bot");
  }

  /** A day that ends in the middle would begin a new window. */
  private static void keepClearOfMidnight() throws InterruptedException {
    while (LocalTime.now(ZoneOffset.UTC).isAfter(LocalTime.of(23, 55))) {
      Thread.sleep(1000);
    }
  }

  @AfterEach
  void stop() {
    client.shutdownNow();
    second.close();
    first.close();
    stage.close();
  }

  private static com.sun.net.httpserver.HttpHandler answer(String type, String body) {
    return exchange -> send(exchange, 200, type, body.getBytes(StandardCharsets.UTF_8));
  }

  private static void send(HttpExchange exchange, int status, String type, byte[] body)
      throws IOException {
    try (exchange) {
      exchange.getRequestBody().readAllBytes();
      exchange.getResponseHeaders().set("Content-Type", type);
      exchange.sendResponseHeaders(status, body.length);
      exchange.getResponseBody().write(body);
    }
  }

  private void limit(String limits) throws Exception {
    Policies policies = new Policies(first);
    policies.write(
        "grant",
        "bot-openai",
        "UPDATE agent_grant SET version = version + 1, spec ="
            + " jsonb_set(spec, '{limits}', ?::jsonb) WHERE name = ?",
        limits,
        "bot-openai");
    policies.await(first);
    policies.await(second);
  }

  private HttpResponse<byte[]> use(String gateway, String path, String body) throws Exception {
    return client.send(request(gateway, path, body), BodyHandlers.ofByteArray());
  }

  private HttpRequest request(String gateway, String path, String body) {
    return HttpRequest.newBuilder(URI.create(gateway + "/d/openai" + path))
        .timeout(Duration.ofSeconds(30))
        .header("Authorization", "Bearer " + token)
        .POST(BodyPublishers.ofString(body))
        .build();
  }

  private static String error(HttpResponse<?> answer) {
    return answer.headers().firstValue("valetkey-error").orElse("none");
  }

  private JsonNode usage(String limit) throws Exception {
    return StopStage.admin(first, "GET", "/grants/bot-openai/usage", null).at("/limits/" + limit);
  }

  private long used(String limit) throws Exception {
    return usage(limit).get("used").asLong();
  }

  /** Uses until it is let through: the first portion may be on its way. */
  private HttpResponse<byte[]> served(String path, String body) {
    return await()
        .atMost(Duration.ofSeconds(20))
        .until(
            () -> use(first.gatewayUrl(), path, body),
            answer -> !error(answer).equals("limits_unavailable"));
  }

  @Test
  void manyClients_ofTwoGateways_spendTheBudgetAndWhatIsInFlight() throws Exception {
    int budget = 20_000;
    limit("{\"modelTokensPerDay\":%d,\"modelTokensPerHour\":1000000}".formatted(budget));
    List<String> paths =
        List.of("/v1/openai", "/v1/anthropic", "/v1/openai-events", "/v1/anthropic-events");
    AtomicInteger served = new AtomicInteger();
    AtomicInteger unknown = new AtomicInteger();
    AtomicInteger exceeded = new AtomicInteger();
    long end = System.nanoTime() + Duration.ofSeconds(90).toNanos();
    long begun = System.nanoTime();
    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      for (int i = 0; i < CLIENTS; i++) {
        String gateway = (i % 2 == 0 ? first : second).gatewayUrl();
        String path = paths.get(i / 2 % paths.size());
        clients.submit(() -> {
          while (System.nanoTime() < end && exceeded.get() < 300) {
            HttpResponse<byte[]> answer = use(gateway, path, "{}");
            switch (answer.statusCode()) {
              case 200 -> served.incrementAndGet();
              case 429 -> {
                assertThat(error(answer)).isEqualTo("budget_exceeded");
                exceeded.incrementAndGet();
              }
              case 503 -> unknown.incrementAndGet();
              default -> throw new AssertionError(error(answer));
            }
          }
          return null;
        });
      }
    }
    long spent = (long) served.get() * COST;
    System.out.printf(
        "%d clients, 2 gateways, %d model tokens a day, %d each: %d spent in %.1f s (portion %d);"
            + " %d answered 429, %d answered 503%n",
        CLIENTS,
        budget,
        COST,
        spent,
        (System.nanoTime() - begun) / 1e9,
        Budget.portion(budget),
        exceeded.get(),
        unknown.get());
    assertThat(exceeded.get()).isGreaterThanOrEqualTo(300);
    assertThat(spent)
        .isBetween(budget * 9L / 10, budget + CLIENTS * (long) COST + Budget.portion(budget));
    await().atMost(Duration.ofSeconds(10)).until(() -> used("modelTokensPerDay") == spent);
    // The hour may have ended meanwhile.
    assertThat(used("modelTokensPerHour")).isBetween(0L, spent);
    assertThat(usage("modelTokensPerDay").get("left").asLong()).isZero();
    HttpResponse<byte[]> answer = use(first.gatewayUrl(), "/v1/openai", "{}");
    assertThat(error(answer)).isEqualTo("budget_exceeded");
    assertThat(answer.headers().firstValueAsLong("retry-after").orElse(0)).isBetween(1L, 86_400L);
    try (var database = first.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT count(*) FROM audit_record WHERE reason = 'budget_exceeded' AND"
                        + " details::text LIKE '%limits.modelTokensPerDay of grant bot-openai%'")) {
      rows.next();
      assertThat(rows.getInt(1)).isPositive();
    }
  }

  @Test
  void answers_areChargedAsTheySay_andBySizeWhereTheyDoNot() throws Exception {
    limit("{\"modelTokensPerDay\":2000000000,\"concurrentStreams\":50}");
    String body = "x".repeat(399);
    Map<String, byte[]> odd = new HashMap<>();
    odd.put("none", "{\"choices\":[]}".getBytes(StandardCharsets.UTF_8));
    odd.put("negative", "{\"usage\":{\"total_tokens\":-4000}}".getBytes(StandardCharsets.UTF_8));
    odd.put(
        "huge",
        ("{\"usage\":{\"total_tokens\":" + "9".repeat(40) + "}}").getBytes(StandardCharsets.UTF_8));
    odd.put("fraction", "{\"usage\":{\"total_tokens\":0.5}}".getBytes(StandardCharsets.UTF_8));
    odd.put("string", "{\"usage\":{\"total_tokens\":\"1\"}}".getBytes(StandardCharsets.UTF_8));
    odd.put(
        "text",
        "{\"choices\":[{\"message\":{\"content\":\"{\\\"usage\\\":{\\\"total_tokens\\\":1}}\"}}]}"
            .getBytes(StandardCharsets.UTF_8));
    odd.put(
        "nested",
        "{\"choices\":[{\"usage\":{\"total_tokens\":1}}]}".getBytes(StandardCharsets.UTF_8));
    odd.put("broken", "{\"usage\":{\"total_tokens\":1}".getBytes(StandardCharsets.UTF_8));
    odd.forEach((name, bytes) ->
        stage.serve("/odd/" + name, exchange -> send(exchange, 200, "application/json", bytes)));
    long expected = 0;
    for (Map.Entry<String, byte[]> each : odd.entrySet()) {
      HttpResponse<byte[]> answer = served("/odd/" + each.getKey(), body);
      assertThat(answer.body()).isEqualTo(each.getValue());
      expected += (body.length() + each.getValue().length + 3) / 4;
      requireUsed(each.getKey(), expected);
    }
    stage.serve(
        "/two",
        answer(
            "application/json",
            "{\"usage\":{\"total_tokens\":900},\"usage\":{\"total_tokens\":3}}"));
    assertThat(served("/two", body).statusCode()).isEqualTo(200);
    requireUsed("two objects", expected += 900);
    stage.serve(
        "/refused",
        exchange ->
            send(
                exchange,
                400,
                "application/json",
                "{\"error\":{}}".getBytes(StandardCharsets.UTF_8)));
    assertThat(served("/refused", body).statusCode()).isEqualTo(400);
    stage.serve(
        "/gzip",
        exchange -> {
          exchange.getResponseHeaders().set("Content-Encoding", "gzip");
          var packed = new ByteArrayOutputStream();
          try (var gzip = new GZIPOutputStream(packed)) {
            gzip.write(OPENAI.getBytes(StandardCharsets.UTF_8));
          }
          send(exchange, 200, "application/json", packed.toByteArray());
        });
    assertThat(served("/gzip", body).statusCode()).isEqualTo(200);
    requireUsed("gzip is unpacked, what was refused costs nothing", expected += COST);
    stage.serve(
        "/br",
        exchange -> {
          exchange.getResponseHeaders().set("Content-Encoding", "br");
          send(exchange, 200, "application/json", OPENAI.getBytes(StandardCharsets.UTF_8));
        });
    assertThat(served("/br", body).statusCode()).isEqualTo(502);
    requireUsed("a coding that cannot be read: what was sent", expected += 100);
    stage.serve(
        "/gone",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          exchange.close();
        });
    assertThat(served("/gone", body).statusCode()).isEqualTo(502);
    requireUsed("no answer at all: what was sent", expected += 100);
    stage.serve(
        "/cut",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          exchange.getResponseHeaders().set("Content-Type", "application/json");
          exchange.sendResponseHeaders(200, 5000);
          exchange.getResponseBody().write(OPENAI.getBytes(StandardCharsets.UTF_8));
          exchange.getResponseBody().flush();
          exchange.close();
        });
    HttpResponse<InputStream> cut =
        client.send(request(first.gatewayUrl(), "/cut", body), BodyHandlers.ofInputStream());
    try (InputStream in = cut.body()) {
      in.readAllBytes();
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("closed");
    }
    requireUsed("cut in the middle", expected += (body.length() + OPENAI.length() + 3) / 4);
  }

  @Test
  void stopInTheMiddle_chargesWhatWentThrough() throws Exception {
    limit("{\"modelTokensPerDay\":1000000,\"concurrentStreams\":5}");
    CountDownLatch stopped = new CountDownLatch(1);
    byte[] piece =
        ("data: {\"delta\":\"" + "y".repeat(4000) + "\"}\n\n").getBytes(StandardCharsets.UTF_8);
    stage.serve(
        "/slow",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          exchange.getResponseHeaders().set("Content-Type", "text/event-stream");
          exchange.sendResponseHeaders(200, 0);
          OutputStream out = exchange.getResponseBody();
          out.write(
              ANTHROPIC_EVENTS
                  .substring(0, ANTHROPIC_EVENTS.indexOf("event: content"))
                  .getBytes(StandardCharsets.UTF_8));
          out.write(piece);
          out.flush();
          try {
            stopped.await(60, TimeUnit.SECONDS);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
          exchange.close();
        });
    HttpResponse<InputStream> open =
        client.send(request(first.gatewayUrl(), "/slow", "{}"), BodyHandlers.ofInputStream());
    assertThat(open.statusCode()).isEqualTo(200);
    assertThat(open.body().readNBytes(piece.length)).hasSize(piece.length);
    await().atMost(Duration.ofSeconds(10)).until(() -> used("concurrentStreams") == 1);
    var _ = StopStage.order(first, "{\"agent\":\"bot\"}");
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> used("modelTokensPerDay") >= piece.length / 4);
    await().atMost(Duration.ofSeconds(10)).until(() -> used("concurrentStreams") == 0);
    stopped.countDown();
    open.body().close();
  }

  private void requireUsed(String what, long expected) {
    await()
        .alias(what)
        .atMost(Duration.ofSeconds(10))
        .untilAsserted(() -> assertThat(used("modelTokensPerDay")).isEqualTo(expected));
  }

  @Test
  void bytes_areCountedBothWays_andRefuseTheNextRequest() throws Exception {
    limit("{\"bytesPerDay\":\"10KiB\"}");
    String large = "z".repeat(8000);
    assertThat(served("/v1/openai", large).statusCode()).isEqualTo(200);
    await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> used("bytesPerDay") == large.length() + OPENAI.length());
    assertThat(served("/v1/openai", large).statusCode()).isEqualTo(200);
    HttpResponse<byte[]> answer =
        await()
            .atMost(Duration.ofSeconds(10))
            .until(() -> use(second.gatewayUrl(), "/v1/openai", ""), a -> a.statusCode() == 429);
    assertThat(error(answer)).isEqualTo("budget_exceeded");
  }

  @Test
  void gatewayThatIsKilledWithStreamsOpen_leavesThemToTheOthers() throws Exception {
    limit("{\"concurrentStreams\":3}");
    try (BrokerProcess third = BrokerProcess.replica(first, folder, stage.replicaOf(first))) {
      List<InputStream> open = new ArrayList<>();
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> {
            HttpResponse<InputStream> answer =
                client.send(
                    request(third.gatewayUrl(), "/stream", ""), BodyHandlers.ofInputStream());
            if (answer.statusCode() == 200) {
              open.add(answer.body());
            }
            return open.size() == 3;
          });
      await().atMost(Duration.ofSeconds(10)).until(() -> used("concurrentStreams") == 3);
      HttpResponse<byte[]> refused =
          await()
              .atMost(Duration.ofSeconds(10))
              .until(() -> use(first.gatewayUrl(), "/v1/openai", ""), a -> a.statusCode() == 429);
      assertThat(error(refused)).isEqualTo("rate_limited");
      assertThat(refused.headers().firstValue("retry-after")).hasValue("1");
      long begun = System.nanoTime();
      third.kill();
      await()
          .atMost(Duration.ofSeconds(40))
          .until(() -> use(first.gatewayUrl(), "/v1/openai", "").statusCode() == 200);
      System.out.printf(
          "gateway killed with all streams open: others may open again after %.1f s%n",
          (System.nanoTime() - begun) / 1e9);
    }
  }

  @Test
  void callersThatGoAtAnyMoment_leaveNoStreamBehind() throws Exception {
    limit("{\"concurrentStreams\":1000}");
    Random random = new Random(3);
    for (int i = 0; i < 300; i++) {
      URI gateway = URI.create((i % 2 == 0 ? first : second).gatewayUrl());
      try (Socket caller = new Socket(gateway.getHost(), gateway.getPort())) {
        caller
            .getOutputStream()
            .write(
                ("GET /d/openai/stream HTTP/1.1\r\nHost: "
                        + gateway.getAuthority()
                        + "\r\nAuthorization: Bearer "
                        + token
                        + "\r\n\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1));
        Thread.sleep(random.nextInt(25));
        if (random.nextBoolean()) {
          caller.setSoLinger(true, 0);
        }
      }
    }
    HttpResponse<InputStream> last =
        client.send(request(first.gatewayUrl(), "/stream", ""), BodyHandlers.ofInputStream());
    assertThat(last.statusCode()).isEqualTo(200);
    await().atMost(Duration.ofSeconds(20)).until(() -> used("concurrentStreams") == 1);
    last.body().close();
    await().atMost(Duration.ofSeconds(20)).until(() -> used("concurrentStreams") == 0);
  }

  @Test
  void storeThatHangs_delaysNobody_andClosesOnceThePortionIsUsed() throws Exception {
    limit("{\"modelTokensPerDay\":20000}");
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() ->
            served("/v1/openai", "{}").statusCode() == 200
                && usage("modelTokensPerDay").get("held").asLong() > 100);
    try (var database = first.database()) {
      database.setAutoCommit(false);
      database.createStatement().execute("LOCK TABLE grant_budget IN ACCESS EXCLUSIVE MODE");
      int served = 0;
      HttpResponse<byte[]> answer = use(first.gatewayUrl(), "/v1/openai", "{}");
      while (answer.statusCode() == 200 && served < 400) {
        long begun = System.nanoTime();
        answer = use(first.gatewayUrl(), "/v1/openai", "{}");
        assertThat(System.nanoTime() - begun).isLessThan(Duration.ofSeconds(5).toNanos());
        served++;
      }
      System.out.printf("store locked: %d more served from the portion%n", served);
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(error(answer)).isEqualTo("limits_unavailable");
      assertThat(served).isLessThan(400);
    }
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> use(first.gatewayUrl(), "/v1/openai", "{}").statusCode() == 200);
  }
}
