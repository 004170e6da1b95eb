package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** A stop works while other things do not. Invariants: P2, S4, S5. */
class StopUnderDuressTest {

  private static final Duration BOUND = Duration.ofSeconds(2);

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

  @Test
  void order_whileTheCommonPoolIsExhausted_isInForceAtOnce() throws Exception {
    try (RunningBroker broker =
        RunningBroker.start(stage.settings("spring.datasource.hikari.maximum-pool-size", "2"))) {
      stage.writePolicy(broker, "bad");
      String token = stage.token(broker, "bad");
      OpenStream stream = OpenStream.open(broker.gatewayUrl(), token);
      DataSource pool = broker.bean(DataSource.class);
      try (Connection one = pool.getConnection();
          Connection two = pool.getConnection()) {
        assertThat(one.isValid(1) && two.isValid(1)).isTrue();
        // What needs the pool is refused: it is exhausted indeed.
        assertThat(StopStage.adminAnswer(broker, "GET", "/agents", null).statusCode())
            .isEqualTo(503);

        long begun = System.nanoTime();
        JsonNode stop = StopStage.order(broker, "{\"agent\":\"bad\"}");
        JsonNode done = StopStage.awaitAcknowledged(broker, stop);

        assertThat(stream.awaitEnd(2)).isTrue();
        assertThat(Duration.ofNanos(stream.endNanos - begun)).isLessThan(BOUND);
        assertThat(done.at("/streams/cut").asInt()).isOne();
        assertThat(StopStage.use(broker.gatewayUrl(), token)).isEqualTo(401);
        assertThat(
                StopStage.adminAnswer(
                        broker,
                        "DELETE",
                        "/stops/" + stop.get("id").asString(),
                        "{\"reason\":\"a test\"}")
                    .statusCode())
            .isEqualTo(204);
      }
    }
  }

  @Test
  void start_beforeTheFirstCompleteView_servesNothing() throws Exception {
    try (RunningBroker first = RunningBroker.start(stage.settings())) {
      stage.writePolicy(first, "bad", "good");
      String bad = stage.token(first, "bad");
      String good = stage.token(first, "good");
      StopStage.order(first, "{\"agent\":\"bad\"}");
      int api = RunningBroker.freePort();
      int gateway = RunningBroker.freePort();
      CompletableFuture<RunningBroker> starting;
      boolean listened = false;
      try (Connection lock = first.database()) {
        lock.setAutoCommit(false);
        lock.createStatement().execute("LOCK TABLE stop IN ACCESS EXCLUSIVE MODE");
        Map<String, String> settings =
            stage.replicaOf(
                first,
                "server.port",
                String.valueOf(api),
                "valetkey.gateway.port",
                String.valueOf(gateway));
        starting = CompletableFuture.supplyAsync(() -> first.replica(settings));
        awaitBlocked(first);
        long end = System.nanoTime() + Duration.ofSeconds(2).toNanos();
        while (System.nanoTime() < end) {
          listened |= listens(api) || listens(gateway);
          Thread.sleep(20);
        }
        assertThat(starting).isNotDone();
        lock.rollback();
      }
      assertThat(listened).as("a port was open before the stops were known").isFalse();
      try (RunningBroker second = starting.get(30, TimeUnit.SECONDS)) {
        String url = "http://127.0.0.1:" + gateway;
        assertThat(StopStage.use(url, bad)).isEqualTo(401);
        assertThat(StopStage.use(url, good)).isEqualTo(200);
        assertThat(second.url()).isNotEmpty();
      }
    }
  }

  /** Until the replica that starts waits for the stops. */
  private static void awaitBlocked(RunningBroker broker) {
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> {
          try (var database = broker.database();
              var rows =
                  database
                      .createStatement()
                      .executeQuery(
                          "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                              + " AND query LIKE '%FROM stop_epoch%'"
                              + " AND datname = current_database()")) {
            rows.next();
            // The first replica's feed waits as well.
            return rows.getInt(1) >= 2;
          }
        });
  }

  private static boolean listens(int port) {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress("127.0.0.1", port), 100);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void oneReplicaThatIsLeft_stopsAndSaysSo() throws Exception {
    Map<String, String> settings = stage.settings("valetkey.stop.staleness", "2s");
    try (RunningBroker left = RunningBroker.start(settings)) {
      stage.writePolicy(left, "bad");
      String token = stage.token(left, "bad");
      OpenStream here = OpenStream.open(left.gatewayUrl(), token);
      try (BrokerProcess other = BrokerProcess.replica(left, folder, settings)) {
        OpenStream there = OpenStream.open(other.gatewayUrl(), token);
        // SIGKILL: it says good-bye to nobody.
        other.close();
        assertThat(there.awaitEnd(5)).isTrue();

        long begun = System.nanoTime();
        JsonNode stop = StopStage.order(left, "{\"agent\":\"bad\"}");
        assertThat(here.awaitEnd(5)).isTrue();
        long cut = here.endNanos - begun;
        JsonNode done = StopStage.awaitAcknowledged(left, stop);
        long acknowledged = System.nanoTime() - begun;

        System.out.printf(
            "one replica left: cut after %d ms; the dead one was waited for %d ms%n",
            cut / 1_000_000, acknowledged / 1_000_000);
        assertThat(Duration.ofNanos(cut)).isLessThan(BOUND);
        assertThat(Duration.ofNanos(acknowledged)).isLessThan(Duration.ofSeconds(6));
        assertThat(done.at("/gateways/total").asInt()).isOne();
        assertThat(done.at("/streams/cut").asInt()).isOne();
        assertThat(StopStage.use(left.gatewayUrl(), token)).isEqualTo(401);
      }
    }
  }

  @Test
  @NeedsVault
  void order_whileVaultIsDown_endsTokensAndStreamsAtOnce() throws Exception {
    try (RealVault vault = RealVault.startOwn()) {
      vault.put("secret", "openai", Map.of("key", StopStage.KEY));
      Map<String, String> settings =
          stage.settings(
              "valetkey.vault.uri",
              vault.uri().toString(),
              "valetkey.vault.token",
              vault.rootToken(),
              "valetkey.stop.witness.path",
              "valetkey/stops-" + System.identityHashCode(this));
      try (RunningBroker broker = RunningBroker.start(settings)) {
        stage.writePolicyWithCredential(
            broker,
            "{\"source\":\"vault-kv\",\"mount\":\"secret\",\"path\":\"openai\",\"field\":\"key\"}",
            "bad",
            "good");
        String bad = stage.token(broker, "bad");
        List<OpenStream> streams = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
          streams.add(OpenStream.open(broker.gatewayUrl(), bad));
        }
        OpenStream good = OpenStream.open(broker.gatewayUrl(), stage.token(broker, "good"));
        vault.freeze();

        long begun = System.nanoTime();
        JsonNode stop = StopStage.order(broker, "{\"agent\":\"bad\"}");
        JsonNode done = StopStage.awaitAcknowledged(broker, stop);
        long took = System.nanoTime() - begun;

        System.out.printf("Vault frozen: stop acknowledged after %d ms%n", took / 1_000_000);
        assertThat(Duration.ofNanos(took)).isLessThan(BOUND);
        assertThat(done.at("/streams/cut").asInt()).isEqualTo(5);
        for (OpenStream stream : streams) {
          assertThat(stream.awaitEnd(2)).isTrue();
        }
        assertThat(StopStage.use(broker.gatewayUrl(), bad)).isEqualTo(401);
        assertThat(
                Tokens.ask(broker.url(), Tokens.exchange(stage.issuer.token("bad", broker.url())))
                    .hasToken())
            .isFalse();
        assertThat(good.hasEnded()).as("who is not stopped goes on").isFalse();
        vault.thaw();
      }
    }
  }
}
