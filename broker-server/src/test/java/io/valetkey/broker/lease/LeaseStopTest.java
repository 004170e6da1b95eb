package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What ends leases that their agents did not give back. Invariants: P2, P3, L3, L5. */
@NeedsVault
class LeaseStopTest {

  private static final Duration P3 = Duration.ofSeconds(30);
  private static final Duration BOUND = Duration.ofSeconds(3);

  private RealVault vault;
  private OrdersDatabase orders;
  private RunningBroker broker;
  private String vaultToken;

  @BeforeEach
  void start() throws Exception {
    vault = RealVault.startOwn();
    orders = new OrdersDatabase();
    orders.configure(vault);
    vaultToken = LeaseWorld.brokerToken(vault);
    broker = RunningBroker.start(settings());
    LeaseWorld.policy(broker, orders.origin(), "{\"maxTtl\":\"30m\",\"maxLive\":5000}");
  }

  private Map<String, String> settings() {
    Map<String, String> settings =
        new HashMap<>(LeaseWorld.settings(vault.uri().toString(), vaultToken));
    settings.put("valetkey.lease.revocation-bound", BOUND.toSeconds() + "s");
    return settings;
  }

  @AfterEach
  void stop() {
    broker.close();
    orders.close();
    vault.close();
  }

  private String token() throws Exception {
    return LeaseWorld.token(broker.url(), "bot-subject", "orders-db");
  }

  private Answer admin(String method, String path, String body, String... headers)
      throws Exception {
    return LeaseWorld.send(
        method, broker.url() + "/admin/v1" + path, RunningBroker.BOOTSTRAP_TOKEN, body, headers);
  }

  private Answer stopAgent() throws Exception {
    Answer stop = admin("POST", "/stops", "{\"target\":{\"agent\":\"bot\"},\"reason\":\"a test\"}");
    assertThat(stop.status()).isEqualTo(201);
    return stop;
  }

  private Answer progress(Answer stop) {
    try {
      return admin("GET", "/stops/" + stop.id(), null);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private String metric(String name) throws Exception {
    String all =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(broker.managementUrl() + "/actuator/prometheus"))
                    .build(),
                BodyHandlers.ofString())
            .body();
    return all.lines().filter(line -> line.startsWith(name + " ")).findFirst().orElse("");
  }

  @Test
  void stop_terminatesOpenSessions_dropsTheRoles_andSaysWhenAllIsGone() throws Exception {
    String token = token();
    Answer one = LeaseWorld.lease(broker.url(), token, "1");
    Answer two = LeaseWorld.lease(broker.url(), token, "2");
    Answer others =
        LeaseWorld.lease(
            broker.url(), LeaseWorld.token(broker.url(), "other-subject", "orders-db"), "1");
    try (Connection session = orders.connect(one.username(), one.password())) {
      long begun = System.nanoTime();
      Answer stop = stopAgent();

      await("acknowledged", P3, () -> progress(stop).body().path("acknowledged").asBoolean());
      System.out.printf(
          "stop of two leases acknowledged after %d ms%n", (System.nanoTime() - begun) / 1_000_000);
      assertThat(progress(stop).body().path("leases").toString())
          .isEqualTo("{\"revoked\":2,\"pending\":0,\"irrevocable\":0}");
      assertThat(orders.dynamicRoles())
          .doesNotContain(one.username(), two.username())
          .contains(others.username());
      assertThatThrownBy(() -> session.createStatement().executeQuery("SELECT 1"))
          .isInstanceOf(SQLException.class);
    }
    assertThatThrownBy(() -> orders.connect(two.username(), two.password()))
        .isInstanceOf(SQLException.class);
    assertThat(LeaseWorld.lease(broker.url(), token, "3").status()).isEqualTo(401);
    Answer record = admin("GET", "/leases/" + one.id(), null);
    assertThat(record.state()).isEqualTo("revoked");
    assertThat(record.body().path("revokeReason").asString()).isEqualTo("stopped");
    orders.connect(others.username(), others.password()).close();
  }

  @Test
  void stopWhileVaultIsDown_refusesAtOnce_andLeasesGoWhenItReturns() throws Exception {
    String token = token();
    Answer lease = LeaseWorld.lease(broker.url(), token, "1");
    vault.freeze();
    Answer stop = stopAgent();

    assertThat(LeaseWorld.lease(broker.url(), token, "2").status()).isEqualTo(401);
    assertThat(progress(stop).body().path("leases").path("pending").asInt()).isEqualTo(1);
    assertThat(progress(stop).body().path("acknowledged").asBoolean()).isFalse();
    await(
        "the alarm",
        BOUND.plusSeconds(15),
        () -> progress(stop).body().path("leases").path("irrevocable").asInt() == 1);
    vault.thaw();

    await(
        "gone",
        P3.plusSeconds(10),
        () -> progress(stop).body().path("leases").path("revoked").asInt() == 1);
    assertThat(orders.dynamicRoles()).doesNotContain(lease.username());
  }

  @Test
  void brokenRevocation_isPendingThenIrrevocableWithAnAlarm_andItsOwnRetrySucceeds()
      throws Exception {
    OrdersDatabase.role(vault, "orders-ro", "SELECT no_such_function('{{name}}');");
    Answer lease = LeaseWorld.lease(broker.url(), token(), "1");
    Answer stop = stopAgent();

    await(
        "pending",
        BOUND,
        () -> {
          var leases = progress(stop).body().path("leases");
          return leases.path("pending").asInt() == 1 || leases.path("irrevocable").asInt() == 1;
        });
    await(
        "irrevocable",
        BOUND.plusSeconds(10),
        () -> progress(stop).body().path("leases").path("irrevocable").asInt() == 1);
    Answer shown = admin("GET", "/leases/" + lease.id(), null);
    assertThat(shown.state()).isEqualTo("irrevocable");
    assertThat(shown.body().path("lastError").asString()).contains("no_such_function");
    await(
        "the metric",
        Duration.ofSeconds(10),
        () -> {
          try {
            return metric("valetkey_lease_irrevocable").endsWith(" 1.0");
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
    assertThat(admin("GET", "/audit?action=lease.irrevocable", null).body().path("items").size())
        .isEqualTo(1);
    assertThat(orders.dynamicRoles()).contains(lease.username());

    OrdersDatabase.role(vault, "orders-ro", OrdersDatabase.template("revocation"));

    await(
        "mended", Duration.ofSeconds(45), () -> !orders.dynamicRoles().contains(lease.username()));
    await(
        "revoked",
        Duration.ofSeconds(10),
        () -> progress(stop).body().path("leases").path("revoked").asInt() == 1);
  }

  @Test
  void stopWhileACredentialIsBeingMade_endsItToo() throws Exception {
    vault.send(
        "POST",
        "database/roles/orders-ro",
        Map.of(
            "db_name",
            "orders",
            "creation_statements",
            OrdersDatabase.template("creation") + "SELECT pg_sleep(1.5);",
            "revocation_statements",
            OrdersDatabase.template("revocation"),
            "default_ttl",
            "1h"));
    String token = token();
    CompletableFuture<Answer> asked = inBackground(broker, token, "slow");
    Thread.sleep(700);

    Answer stop = stopAgent();

    assertThat(asked.get().status()).isEqualTo(401);
    await("acknowledged", P3, () -> progress(stop).body().path("acknowledged").asBoolean());
    assertThat(orders.dynamicRoles()).isEmpty();
  }

  private static CompletableFuture<Answer> inBackground(
      RunningBroker asks, String token, String key) {
    return CompletableFuture.supplyAsync(
        () -> {
          try {
            return LeaseWorld.lease(asks.url(), token, key);
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        },
        task -> Thread.ofVirtual().start(task));
  }

  @Test
  void targetThatHangs_delaysNeitherTheEndOfOthersNorItsOwnAlarm() throws Exception {
    orders.connect(vault, "slow");
    OrdersDatabase.role(vault, "slow", "slow", "SELECT pg_sleep(60);");
    vault.policy(
        "valetkey-lease-database-slow",
        "path \"database/creds/slow\" { capabilities = [\"read\"] }");
    new Policies(broker)
        .destination("slow-db", LeaseWorld.destination(orders.origin(), "slow", ""))
        .scope("slow-db", "read", "{\"lease\":{\"maxLive\":50}}")
        .grant("other-slow", "other", "slow-db", List.of("read"))
        .await(broker);
    String others = LeaseWorld.token(broker.url(), "other-subject", "slow-db");
    int hanging = 20;
    for (int i = 0; i < hanging; i++) {
      Answer slow =
          LeaseWorld.lease(broker.url(), others, "slow-" + i, "{\"destination\":\"slow-db\"}");
      assertThat(slow.status()).isEqualTo(201);
    }
    Answer mine = LeaseWorld.lease(broker.url(), token(), "mine");
    Answer first =
        admin("POST", "/stops", "{\"target\":{\"agent\":\"other\"},\"reason\":\"a test\"}");
    Thread.sleep(1500);

    stopAgent();

    await("gone", Duration.ofSeconds(12), () -> !orders.dynamicRoles().contains(mine.username()));
    await(
        "the alarm for all of them",
        BOUND.plusSeconds(8),
        () -> progress(first).body().path("leases").path("irrevocable").asInt() == hanging);
  }

  @Test
  void withdrawnGrant_endsItsLeases() throws Exception {
    Answer lease = LeaseWorld.lease(broker.url(), token(), "1");

    assertThat(admin("DELETE", "/grants/bot-orders", null, "If-Match", "*").status())
        .isEqualTo(204);

    await("gone", P3, () -> !orders.dynamicRoles().contains(lease.username()));
    await(
        "recorded",
        P3,
        () -> {
          try {
            return admin("GET", "/leases/" + lease.id(), null).state().equals("revoked");
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
    assertThat(admin("GET", "/leases/" + lease.id(), null).body().path("revokeReason").asString())
        .isEqualTo("withdrawn");
  }

  @Test
  void stopOfOneToken_endsTheLeasesThatItGot() throws Exception {
    String stopped = token();
    Answer gone = LeaseWorld.lease(broker.url(), stopped, "1");
    Answer kept = LeaseWorld.lease(broker.url(), token(), "2");
    String jti = com.nimbusds.jwt.SignedJWT.parse(stopped).getJWTClaimsSet().getJWTID();
    admin("POST", "/stops", "{\"target\":{\"token\":\"" + jti + "\"},\"reason\":\"a test\"}");

    await("gone", P3, () -> !orders.dynamicRoles().contains(gone.username()));
    orders.connect(kept.username(), kept.password()).close();
  }

  /** Two replicas hand out as fast as they can while the agent is stopped and let go again. */
  @Test
  void stopRacesLeasing_onTwoReplicas_leavesNoUsableLoginOnceAcknowledged() throws Exception {
    try (RunningBroker second = broker.replica(settings())) {
      int rounds = Integer.getInteger("lease.race.rounds", 8);
      AtomicInteger handedOut = new AtomicInteger();
      for (int round = 0; round < rounds; round++) {
        List<String> tokens =
            List.of(token(), LeaseWorld.token(second.url(), "bot-subject", "orders-db"));
        List<CompletableFuture<Answer>> asked = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
          RunningBroker asks = i % 2 == 0 ? broker : second;
          String token = tokens.get(i % 2);
          String key = round + "-" + i;
          asked.add(inBackground(asks, token, key));
        }
        Thread.sleep(round % 20 * 15L);
        Answer stop = stopAgent();
        await("acknowledged", P3, () -> progress(stop).body().path("acknowledged").asBoolean());
        List<String> roles = orders.dynamicRoles();
        for (CompletableFuture<Answer> future : asked) {
          Answer answer = future.get();
          if (answer.status() == 201) {
            handedOut.incrementAndGet();
            assertThat(roles).as("round " + round).doesNotContain(answer.username());
          }
        }
        assertThat(orders.dynamicRoles()).as("after round " + round).isEmpty();
        admin("DELETE", "/stops/" + stop.id(), "{\"reason\":\"next round\"}");
        String lifted = stop.id();
        await(
            "both replicas know that " + lifted + " was lifted",
            Duration.ofSeconds(5),
            () -> isOpen(broker) && isOpen(second));
      }
      assertThat(handedOut).as("leases that won their race").hasPositiveValue();
    }
  }

  private static boolean isOpen(RunningBroker replica) {
    try {
      return !LeaseWorld.token(replica.url(), "bot-subject", "orders-db").isEmpty();
    } catch (Exception | AssertionError e) {
      return false;
    }
  }
}
