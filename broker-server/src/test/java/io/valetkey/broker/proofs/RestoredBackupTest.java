package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.stop.WitnessKeeper;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * A database that is replaced by its backup while stops are in force. Nobody who was stopped comes
 * back, and no token that was dead. Invariants: S2, S3, S8.
 */
class RestoredBackupTest {

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

  private static void server(String... statements) throws Exception {
    String url = "jdbc:postgresql://localhost:" + RunningBroker.postgresPort() + "/postgres";
    try (Connection connection = DriverManager.getConnection(url, "postgres", "postgres");
        var statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  private static String away(String database) {
    return "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"
        + database
        + "'";
  }

  private static void copy(String from, String to) throws Exception {
    server(
        "ALTER DATABASE " + from + " ALLOW_CONNECTIONS false",
        away(from),
        "CREATE DATABASE " + to + " TEMPLATE " + from,
        "ALTER DATABASE " + from + " ALLOW_CONNECTIONS true");
  }

  private static void restore(String backup, String database) throws Exception {
    server(
        "ALTER DATABASE " + database + " ALLOW_CONNECTIONS false",
        away(database),
        "DROP DATABASE " + database,
        "CREATE DATABASE " + database + " TEMPLATE " + backup);
  }

  private static void awaitServing(RunningBroker broker, String token) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> StopStage.use(broker.gatewayUrl(), token) == 200);
  }

  private boolean getsAToken(RunningBroker broker, String agent) throws Exception {
    return Tokens.ask(broker.url(), Tokens.exchange(stage.issuer.token(agent, broker.url())))
        .hasToken();
  }

  private static long restores(RunningBroker broker, String source) throws Exception {
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT count(*) FROM audit_record WHERE action = 'stop.restore'"
                        + " AND details->>'source' = '"
                        + source
                        + "'")) {
      rows.next();
      return rows.getLong(1);
    }
  }

  @Test
  void backupRestoredUnderRunningReplicas_bringsNobodyBack() throws Exception {
    try (RunningBroker first = RunningBroker.start(stage.settings());
        RunningBroker second = first.replica(stage.replicaOf(first))) {
      stage.writePolicy(first, "bad", "lifted", "good");
      String bad = stage.token(first, "bad");
      String lifted = stage.token(first, "lifted");
      String revoked = stage.token(first, "good");
      String good = stage.token(first, "good");
      copy(first.databaseName(), first.databaseName() + "_backup");
      awaitServing(first, bad);
      awaitServing(second, bad);
      JsonNode stop = StopStage.order(first, "{\"agent\":\"bad\"}");
      JsonNode over = StopStage.order(first, "{\"agent\":\"lifted\"}");
      StopStage.adminAnswer(
          first, "DELETE", "/stops/" + over.get("id").asString(), "{\"reason\":\"a test\"}");
      Tokens.post(first.api("/oauth2/revoke"), Map.of("token", revoked));
      JsonNode reached = StopStage.awaitAcknowledged(first, stop);
      await().until(() -> StopStage.use(second.gatewayUrl(), revoked) == 401);

      var running = new AtomicBoolean(true);
      var served = new AtomicInteger();
      var watch =
          CompletableFuture.runAsync(() -> {
            while (running.get()) {
              for (RunningBroker broker : new RunningBroker[] {first, second}) {
                for (String token : new String[] {bad, lifted, revoked}) {
                  try {
                    if (StopStage.use(broker.gatewayUrl(), token) == 200) {
                      served.incrementAndGet();
                    }
                  } catch (Exception e) {
                    // A refusal of another kind.
                  }
                }
              }
            }
          });
      long begun = System.nanoTime();
      restore(first.databaseName() + "_backup", first.databaseName());
      awaitServing(first, good);
      awaitServing(second, good);
      await().atMost(Duration.ofSeconds(10)).until(() -> restores(first, "replica") > 0);
      System.out.printf(
          "backup restored under two replicas: served again with all stops after %d ms%n",
          (System.nanoTime() - begun) / 1_000_000);
      Thread.sleep(1000);
      running.set(false);
      watch.join();

      assertThat(served).as("uses of dead tokens").hasValue(0);
      JsonNode now = StopStage.progress(first, stop);
      assertThat(now.get("state").asString()).isEqualTo("active");
      assertThat(now.get("epoch").asLong()).isGreaterThan(reached.get("epoch").asLong());
      assertThat(getsAToken(first, "bad")).isFalse();
      assertThat(getsAToken(first, "lifted")).isTrue();
      // Who starts now knows only what the database says.
      try (RunningBroker third = first.replica(stage.replicaOf(first))) {
        for (String token : new String[] {bad, lifted, revoked}) {
          assertThat(StopStage.use(third.gatewayUrl(), token)).isEqualTo(401);
        }
        assertThat(StopStage.use(third.gatewayUrl(), good)).isEqualTo(200);
      }
    }
  }

  private Map<String, String> witnessed(RealVault vault, String... more) {
    Map<String, String> settings = stage.settings(more);
    settings.put("valetkey.vault.uri", vault.uri().toString());
    settings.put("valetkey.vault.token", vault.rootToken());
    settings.put("valetkey.vault.timeout", "1s");
    settings.put("valetkey.stop.witness.path", "valetkey/stops-" + System.identityHashCode(stage));
    return settings;
  }

  private static void awaitTold(RunningBroker broker) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> broker.bean(WitnessKeeper.class).behindMillis() == 0);
  }

  @Test
  @NeedsVault
  void backupRestoredAndEveryReplicaRestarted_theWitnessBringsTheStopsBack() throws Exception {
    try (RealVault vault = RealVault.start()) {
      Map<String, String> settings = witnessed(vault);
      String database;
      String bad;
      String revoked;
      String good;
      try (RunningBroker broker = RunningBroker.start(settings)) {
        database = broker.databaseName();
        settings.put("valetkey.public-url", broker.url());
        settings.put("valetkey.gateway.public-url", broker.gatewayUrl());
        stage.writePolicy(broker, "bad", "good");
        bad = stage.token(broker, "bad");
        revoked = stage.token(broker, "good");
        good = stage.token(broker, "good");
        copy(database, database + "_backup");
        awaitServing(broker, bad);
        StopStage.order(broker, "{\"agent\":\"bad\"}");
        Tokens.post(broker.api("/oauth2/revoke"), Map.of("token", revoked));
        await().until(() -> StopStage.use(broker.gatewayUrl(), revoked) == 401);
        awaitTold(broker);
      }
      restore(database + "_backup", database);

      String later;
      try (RunningBroker broker = RunningBroker.onDatabase(database, settings)) {
        assertThat(StopStage.use(broker.gatewayUrl(), bad)).isEqualTo(401);
        assertThat(StopStage.use(broker.gatewayUrl(), revoked)).isEqualTo(401);
        // Nobody knows which of them were stopped one by one: they all are.
        assertThat(StopStage.use(broker.gatewayUrl(), good)).isEqualTo(401);
        assertThat(restores(broker, "witness")).isOne();
        later = tokenFor(settings, broker, "good");
        assertThat(StopStage.use(broker.gatewayUrl(), later)).isEqualTo(200);
        awaitTold(broker);
      }
      try (RunningBroker broker = RunningBroker.onDatabase(database, settings)) {
        assertThat(restores(broker, "witness")).as("once is enough").isOne();
        assertThat(StopStage.use(broker.gatewayUrl(), later)).isEqualTo(200);
        assertThat(StopStage.use(broker.gatewayUrl(), bad)).isEqualTo(401);
      }
    }
  }

  /** Under the names of the first broker, at the address of this one. */
  private String tokenFor(Map<String, String> settings, RunningBroker broker, String agent)
      throws Exception {
    String audience = settings.get("valetkey.public-url");
    Tokens.Answer answer =
        Tokens.ask(broker.url(), Tokens.exchange(stage.issuer.token(agent, audience)));
    assertThat(answer.hasToken()).as(answer.http().body()).isTrue();
    return answer.token();
  }

  @Test
  @NeedsVault
  void witnessThatDoesNotAnswer_keepsTheBrokerFromServing_unlessItNeedNotBeHeard()
      throws Exception {
    try (RealVault vault = RealVault.startOwn()) {
      Map<String, String> settings = witnessed(vault);
      String database = RunningBroker.newDatabase();
      vault.freeze();
      var starting =
          CompletableFuture.supplyAsync(() -> RunningBroker.onDatabase(database, settings));
      Thread.sleep(8000);
      assertThat(starting).isNotDone();

      Map<String, String> without = new java.util.HashMap<>(settings);
      without.put("valetkey.stop.witness.required", "false");
      try (RunningBroker other = RunningBroker.onDatabase(database, without)) {
        assertThat(other.bean(WitnessKeeper.class).hasBeenHeard()).isFalse();
        stage.writePolicy(other, "bad");
        String token = stage.token(other, "bad");
        // A stop does not wait for Vault.
        long begun = System.nanoTime();
        JsonNode stop = StopStage.order(other, "{\"agent\":\"bad\"}");
        assertThat(StopStage.awaitAcknowledged(other, stop).get("state").asString())
            .isEqualTo("active");
        assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(Duration.ofSeconds(3));
        assertThat(StopStage.use(other.gatewayUrl(), token)).isEqualTo(401);
        await().until(() -> other.bean(WitnessKeeper.class).behindMillis() > 0);

        vault.thaw();

        awaitTold(other);
        assertThat(other.bean(WitnessKeeper.class).hasBeenHeard()).isTrue();
        try (RunningBroker first = starting.get(30, java.util.concurrent.TimeUnit.SECONDS)) {
          assertThat(getsAToken(first, "bad")).isFalse();
        }
      }
      JsonNode kept =
          vault.send("GET", "secret/data/" + settings.get("valetkey.stop.witness.path"), null);
      assertThat(kept.at("/data/data/stops").asString()).contains("\"target\":\"bad\"");
    }
  }
}
