package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NetworkPath;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A gateway that cannot hear of stops ends everything within S, and nobody says that a stop has
 * reached every gateway before that. Invariants: P2, S6.
 */
class CutOffGatewayTest {

  private static final Duration S = Duration.ofSeconds(2);

  /** For the watch, which looks ten times a second, and for a busy machine. */
  private static final Duration SLACK = Duration.ofMillis(700);

  @TempDir private Path folder;
  private StopStage stage;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
  }

  @AfterEach
  void stop() {
    stage.close();
  }

  private Map<String, String> settings() {
    return stage.settings("valetkey.stop.staleness", "2s");
  }

  @Test
  void gatewayWhoseFeedHangs_cutsItsStreamsWithinS_andIsWaitedForUntilThen() throws Exception {
    try (RunningBroker first = RunningBroker.start(settings());
        var path = NetworkPath.to(RunningBroker.postgresPort())) {
      stage.writePolicy(first, "bad", "good");
      // Without a time-out of its socket the feed would hang for good.
      String url =
          "jdbc:postgresql://localhost:%d/%s?socketTimeout=0"
              .formatted(path.port(), first.databaseName());
      try (RunningBroker second =
          first.replica(
              stage.replicaOf(
                  first, "valetkey.stop.staleness", "2s", "spring.datasource.url", url))) {
        String bad = stage.token(first, "bad");
        String good = stage.token(first, "good");
        List<OpenStream> streams = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
          streams.add(OpenStream.open(second.gatewayUrl(), i % 2 == 0 ? bad : good));
        }
        assertThat(StopStage.use(second.gatewayUrl(), bad)).isEqualTo(200);

        path.hang();
        long hung = System.nanoTime();
        JsonNode stop = StopStage.order(first, "{\"agent\":\"bad\"}");
        long ordered = System.nanoTime();
        assertThat(stop.get("acknowledged").asBoolean()).isFalse();
        JsonNode acknowledged = StopStage.awaitAcknowledged(first, stop);
        long told = System.nanoTime();

        long last = streams.stream().mapToLong(stream -> stream.lastByteNanos).max().orElseThrow();
        System.out.printf(
            "S %d ms: last byte through the cut-off gateway %d ms after the path hung;"
                + " acknowledged %d ms after the stop%n",
            S.toMillis(), (last - hung) / 1_000_000, (told - ordered) / 1_000_000);
        assertThat(acknowledged.at("/gateways/total").asInt()).isEqualTo(1);
        assertThat(last).as("no byte after the stop was called acknowledged").isLessThan(told);
        assertThat(Duration.ofNanos(last - hung)).isLessThan(S.plus(SLACK));
        assertThat(streams).allMatch(OpenStream::hasEnded).noneMatch(OpenStream::looksComplete);
        assertThat(StopStage.use(second.gatewayUrl(), good)).isEqualTo(503);
        assertThat(StopStage.use(second.gatewayUrl(), bad)).isEqualTo(503);

        path.mend();
        long mended = System.nanoTime();
        await()
            .atMost(Duration.ofSeconds(15))
            .until(() -> StopStage.use(second.gatewayUrl(), good) == 200);
        System.out.printf(
            "served again %d ms after the path was mended%n",
            (System.nanoTime() - mended) / 1_000_000);
        assertThat(StopStage.use(second.gatewayUrl(), bad)).isEqualTo(401);
        await()
            .atMost(Duration.ofSeconds(10))
            .untilAsserted(() -> assertThat(recordsOfStaleCuts(first)).isEqualTo(20));
        assertThat(StopStage.awaitAcknowledged(first, stop).at("/gateways/total").asInt())
            .isEqualTo(2);
      }
    }
  }

  private static long recordsOfStaleCuts(RunningBroker broker) throws Exception {
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT count(DISTINCT decision_id) FROM audit_record WHERE reason = 'stops_stale'"
                        + " AND action = 'gateway.request'"
                        + " AND (details->>'bytes_to_caller')::bigint > 0")) {
      rows.next();
      return rows.getLong(1);
    }
  }

  @Test
  void gatewayThatWakesFromALongPause_passesNotOneByteOn() throws Exception {
    try (RunningBroker first = RunningBroker.start(settings())) {
      stage.writePolicy(first, "bad", "good");
      try (BrokerProcess second =
          BrokerProcess.replica(
              first,
              folder,
              stage.settings("valetkey.stop.staleness", "2s", "valetkey.roles", "gateway"))) {
        String bad = stage.token(first, "bad");
        String good = stage.token(first, "good");
        List<OpenStream> streams = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
          streams.add(OpenStream.open(second.gatewayUrl(), i % 2 == 0 ? bad : good));
        }
        second.pause();
        JsonNode stop = StopStage.order(first, "{\"agent\":\"bad\"}");
        Thread.sleep(300);
        long before = streams.stream().mapToLong(stream -> stream.bytes).sum();
        long paused = System.nanoTime();
        StopStage.awaitAcknowledged(first, stop);
        long waited = System.nanoTime() - paused;
        // Not before the gateway must have cut by its own clock, had it been running.
        assertThat(Duration.ofNanos(waited)).isGreaterThan(S.minusSeconds(1));
        Thread.sleep(1000);

        second.resume();

        for (OpenStream stream : streams) {
          assertThat(stream.awaitEnd(10)).isTrue();
        }
        assertThat(streams.stream().mapToLong(stream -> stream.bytes).sum()).isEqualTo(before);
        await()
            .atMost(Duration.ofSeconds(15))
            .until(() -> StopStage.use(second.gatewayUrl(), good) == 200);
        assertThat(StopStage.use(second.gatewayUrl(), bad)).isEqualTo(401);
        System.out.printf(
            "paused gateway: acknowledged without it after %d ms, no byte after it woke%n",
            waited / 1_000_000);
      }
    }
  }

  @Test
  void frozenDatabase_endsEveryStreamWithinS_andAllIsWellWhenItIsBack() throws Exception {
    try (var postgres = new OwnPostgres()) {
      var settings = settings();
      settings.put("spring.datasource.url", postgres.url());
      try (RunningBroker broker = RunningBroker.onDatabase("postgres", settings)) {
        stage.writePolicy(broker, "good");
        String token = stage.token(broker, "good");
        OpenStream stream = OpenStream.open(broker.gatewayUrl(), token);

        postgres.freeze();
        long frozen = System.nanoTime();
        assertThat(stream.awaitEnd(10)).isTrue();
        Duration took = Duration.ofNanos(stream.lastByteNanos - frozen);
        assertThat(took).isLessThan(S.plus(SLACK));
        assertThat(StopStage.use(broker.gatewayUrl(), token)).isEqualTo(503);
        postgres.thaw();

        await()
            .atMost(Duration.ofSeconds(20))
            .until(() -> StopStage.use(broker.gatewayUrl(), token) == 200);
        await()
            .atMost(Duration.ofSeconds(10))
            .untilAsserted(() -> assertThat(recordsOfStaleCuts(broker)).isEqualTo(1));
        System.out.printf("database frozen: last byte after %d ms%n", took.toMillis());
      }
    }
  }
}
