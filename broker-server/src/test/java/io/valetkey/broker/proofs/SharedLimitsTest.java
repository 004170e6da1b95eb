package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.limit.GrantRates;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A limit of a grant holds over two gateways, and neither waits for the database nor serves on when
 * it is away. Invariants: D13, D14.
 */
class SharedLimitsTest {

  private static final int LIMIT = 600;
  private static final int CLIENTS = 64;

  @TempDir private Path folder;
  private StopStage stage;
  private RunningBroker first;
  private RunningBroker second;
  private HttpClient client;
  private String token;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    first = RunningBroker.start(stage.settings());
    stage.writePolicy(first, "bot", "other");
    second = first.replica(stage.replicaOf(first));
    limit("bot", LIMIT);
    client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    token = stage.token(first, "bot");
  }

  @AfterEach
  void stop() {
    client.close();
    second.close();
    first.close();
    stage.close();
  }

  private void limit(String agent, int perMinute) throws Exception {
    Policies policies = new Policies(first);
    policies.write(
        "grant",
        agent + "-openai",
        "UPDATE agent_grant SET version = version + 1, spec ="
            + " jsonb_set(spec, '{limits}', ?::jsonb) WHERE name = ?",
        "{\"requestsPerMinute\":%d}".formatted(perMinute),
        agent + "-openai");
    policies.await(first);
    policies.await(second);
  }

  private HttpResponse<Void> use(RunningBroker gateway) throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create(gateway.gatewayUrl() + "/d/openai/ok"))
            .timeout(Duration.ofSeconds(20))
            .header("Authorization", "Bearer " + token)
            .build(),
        BodyHandlers.discarding());
  }

  private static String error(HttpResponse<Void> answer) {
    return answer.headers().firstValue("valetkey-error").orElse("none");
  }

  @Test
  void manyClients_ofTwoGateways_getTheLimitAndAtMostOnePortionMore() throws Exception {
    AtomicInteger served = new AtomicInteger();
    AtomicInteger limited = new AtomicInteger();
    AtomicInteger unknown = new AtomicInteger();
    long begun = System.nanoTime();
    // Until the limit is used up, and for a while after.
    long end = begun + Duration.ofSeconds(60).toNanos();
    try (ExecutorService clients = Executors.newFixedThreadPool(CLIENTS)) {
      for (int i = 0; i < CLIENTS; i++) {
        RunningBroker gateway = i % 2 == 0 ? first : second;
        clients.submit(() -> {
          while (System.nanoTime() < end && limited.get() < 500) {
            HttpResponse<Void> answer = use(gateway);
            switch (answer.statusCode()) {
              case 200 -> served.incrementAndGet();
              case 429 -> limited.incrementAndGet();
              case 503 -> unknown.incrementAndGet();
              default -> throw new AssertionError(error(answer));
            }
          }
          return null;
        });
      }
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    double exact = LIMIT + seconds * LIMIT / 60;
    System.out.printf(
        "%d clients, 2 gateways, %d per minute: in %.1f s %d served, exact would be %.0f (a portion"
            + " is %d); %d answered 429, %d answered 503%n",
        CLIENTS,
        LIMIT,
        seconds,
        served.get(),
        exact,
        GrantRates.portion(LIMIT),
        limited.get(),
        unknown.get());
    assertThat(limited.get()).isGreaterThanOrEqualTo(500);
    assertThat((double) served.get()).isLessThanOrEqualTo(exact + GrantRates.portion(LIMIT));
    assertThat((double) served.get()).isGreaterThan(LIMIT - 3.0 * GrantRates.portion(LIMIT));
  }

  @Test
  void storeThatHangs_delaysNobody_andClosesOnceThePortionIsUsed() throws Exception {
    await().until(() -> use(first).statusCode() == 200 && used("bot") > 20);
    long[] free = times(50);
    try (var database = first.database()) {
      database.setAutoCommit(false);
      database.createStatement().execute("LOCK TABLE grant_rate IN ACCESS EXCLUSIVE MODE");
      long[] locked = new long[LIMIT];
      int served = 0;
      HttpResponse<Void> answer = use(first);
      while (answer.statusCode() == 200 && served < LIMIT) {
        long begun = System.nanoTime();
        answer = use(first);
        locked[served++] = System.nanoTime() - begun;
      }
      System.out.printf(
          "store locked: %d more served from the portion; median request %d us, before %d us%n",
          served, median(Arrays.copyOf(locked, served)) / 1000, median(free) / 1000);
      assertThat(answer.statusCode()).isEqualTo(503);
      assertThat(error(answer)).isEqualTo("limits_unavailable");
      assertThat(answer.headers().firstValue("retry-after")).isPresent();
      assertThat(served).isLessThan(LIMIT);
      assertThat(Arrays.stream(locked).max().orElseThrow())
          .as("nobody waited for the lock")
          .isLessThan(Duration.ofSeconds(2).toNanos());
    }
    await().atMost(Duration.ofSeconds(15)).until(() -> use(first).statusCode() == 200);
  }

  @Test
  void loweredLimit_appliesAtBothGateways_andAskingWhatWouldBeTakesNothing() throws Exception {
    await().until(() -> use(first).statusCode() == 200 && used("bot") > 20);
    var usage = StopStage.admin(first, "GET", "/grants/bot-openai/usage", null);
    assertThat(usage.at("/limits/requestsPerMinute/limit").asInt()).isEqualTo(LIMIT);
    assertThat(usage.at("/limits/requestsPerMinute/used").asInt()).isBetween(10, LIMIT);
    assertThat(usage.at("/limits/requestsPerMinute/left").asInt()).isBetween(1, LIMIT - 10);
    Instant fullAt = Instant.parse(usage.at("/limits/requestsPerMinute/fullAt").asString());
    assertThat(fullAt).isBetween(Instant.now(), Instant.now().plusSeconds(60));

    limit("bot", 5);
    await().atMost(Duration.ofSeconds(10)).until(() -> use(first).statusCode() == 429);
    await().atMost(Duration.ofSeconds(10)).until(() -> use(second).statusCode() == 429);
    assertThat(error(use(second))).isEqualTo("rate_limited");

    limit("other", 5);
    for (int i = 0; i < 20; i++) {
      var unused =
          StopStage.admin(
              first,
              "POST",
              "/decisions/explain",
              "{\"agent\":\"other\",\"destination\":\"openai\",\"method\":\"GET\",\"path\":\"/ok\"}");
      assertThat(unused.get("outcome").asString()).isEqualTo("granted");
    }
    Thread.sleep(1500);
    assertThat(used("other")).isZero();
  }

  private long[] times(int requests) throws Exception {
    long[] times = new long[requests];
    for (int i = 0; i < requests; i++) {
      long begun = System.nanoTime();
      assertThat(use(first).statusCode()).isEqualTo(200);
      times[i] = System.nanoTime() - begun;
    }
    return times;
  }

  private static long median(long[] times) {
    long[] sorted = times.clone();
    Arrays.sort(sorted);
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }

  private double used(String agent) throws Exception {
    try (var database = first.database();
        var statement =
            database.prepareStatement(
                "SELECT coalesce(sum(used), 0) FROM grant_rate WHERE grant_name = ?")) {
      statement.setString(1, agent + "-openai");
      try (var rows = statement.executeQuery()) {
        rows.next();
        return rows.getDouble(1);
      }
    }
  }
}
