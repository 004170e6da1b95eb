package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.broker.lease.VaultProxy.Fault;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * The broker killed with SIGKILL at every numbered step of handing out, renewing, taking back and
 * stopping; lost answers and repeated requests of Vault. What is checked is the target database,
 * Vault's own list and what clients were answered, not our tables alone. Invariants: P3, P10, L1,
 * L2.
 */
@NeedsVault
class LeaseCrashTest {

  /** The patience of a request, the grace for its last call, and then P3. */
  private static final Duration BOUND = Duration.ofSeconds(60);

  @TempDir private static Path folder;

  private static RealVault vault;
  private static OrdersDatabase orders;
  private static RunningBroker survivor;
  private static VaultProxy proxy;
  private static Map<String, String> settings;

  @BeforeAll
  static void start() throws Exception {
    vault = RealVault.startOwn();
    orders = new OrdersDatabase();
    orders.configure(vault);
    String token = LeaseWorld.brokerToken(vault);
    survivor = RunningBroker.start(LeaseWorld.settings(vault.uri().toString(), token));
    LeaseWorld.policy(survivor, orders.origin(), "{\"maxTtl\":\"30m\",\"maxLive\":500}");
    proxy = new VaultProxy(vault.uri());
    settings = LeaseWorld.settings(proxy.uri(), token);
  }

  @AfterAll
  static void stop() {
    survivor.close();
    proxy.close();
    orders.close();
    vault.close();
  }

  /** One moment of handing out a lease. */
  private record Step(String method, String path, Fault fault) {}

  private static final List<Step> HANDING_OUT =
      List.of(
          new Step("POST", "auth/token/create/", Fault.BEFORE), // after 1
          new Step("POST", "auth/token/create/", Fault.AFTER), // after 2
          new Step("GET", "database/creds/", Fault.BEFORE), // after 3
          new Step("GET", "database/creds/", Fault.AFTER), // after 4
          new Step("POST", "auth/token/renew-accessor", Fault.BEFORE), // after 5
          new Step("POST", "auth/token/renew-accessor", Fault.AFTER)); // after 6

  private static final List<Step> TAKING_BACK =
      List.of(
          new Step("POST", "sys/leases/revoke", Fault.BEFORE),
          new Step("POST", "sys/leases/revoke", Fault.AFTER),
          new Step("POST", "auth/token/revoke-accessor", Fault.AFTER));

  private static final List<Step> RENEWING =
      List.of(
          new Step("POST", "sys/leases/renew", Fault.AFTER),
          new Step("POST", "auth/token/renew-accessor", Fault.AFTER));

  @Test
  void kill_atEveryStep_leavesNoRoleThatBelongsToNoLease() throws Exception {
    Set<String> kept = new LinkedHashSet<>();
    int number = 0;
    for (Step step : HANDING_OUT) {
      String key = "kill-" + number++;
      try (BrokerProcess broker = BrokerProcess.start(survivor, folder, settings)) {
        String token = LeaseWorld.token(broker.url(), "bot-subject", "orders-db");
        proxy.plan(step.method(), step.path(), step.fault(), broker::kill);
        assertThatThrownBy(() -> LeaseWorld.lease(broker.url(), token, key))
            .as("%s", step)
            .isInstanceOf(java.io.IOException.class);
        assertThat(proxy.done()).as("%s", step).isTrue();
      }
    }
    for (Step step : TAKING_BACK) {
      try (BrokerProcess broker = BrokerProcess.start(survivor, folder, settings)) {
        String token = LeaseWorld.token(broker.url(), "bot-subject", "orders-db");
        Answer lease = LeaseWorld.lease(broker.url(), token, "back-" + number++);
        proxy.plan(step.method(), step.path(), step.fault(), broker::kill);
        assertThatThrownBy(() ->
                LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + lease.id(), token, null))
            .isInstanceOf(java.io.IOException.class);
      }
    }
    for (Step step : RENEWING) {
      try (BrokerProcess broker = BrokerProcess.start(survivor, folder, settings)) {
        String token = LeaseWorld.token(broker.url(), "bot-subject", "orders-db");
        Answer lease = LeaseWorld.lease(broker.url(), token, "renew-" + number++);
        proxy.plan(step.method(), step.path(), step.fault(), broker::kill);
        assertThatThrownBy(() ->
                LeaseWorld.send(
                    "POST", broker.url() + "/v1/leases/" + lease.id() + "/renew", token, null))
            .isInstanceOf(java.io.IOException.class);
        orders.connect(lease.username(), lease.password()).close();
        kept.add(lease.username());
      }
    }
    for (int i = 0; i < HANDING_OUT.size(); i++) {
      kept.add(leaseAgain("kill-" + i, HANDING_OUT.get(i)));
    }
    requireExactly(kept);
  }

  /** What an agent does whose answer was lost: it asks again, with the same key. */
  private static String leaseAgain(String key, Step step) throws Exception {
    Answer[] again = new Answer[1];
    await(
        "the key is free after " + step,
        BOUND,
        () -> {
          try {
            again[0] =
                LeaseWorld.lease(
                    survivor.url(),
                    LeaseWorld.token(survivor.url(), "bot-subject", "orders-db"),
                    key);
            return again[0].status() == 201;
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
    orders.connect(again[0].username(), again[0].password()).close();
    return again[0].username();
  }

  /**
   * The ground truth: exactly these roles, each with a lease at Vault and an active one of ours.
   */
  private static void requireExactly(Set<String> kept) throws Exception {
    Set<String> expected = new TreeSet<>(kept);
    try {
      await(
          "the roles in the target are those that agents hold",
          BOUND,
          () -> new TreeSet<>(orders.dynamicRoles()).equals(expected));
    } catch (AssertionError e) {
      assertThat(new TreeSet<>(orders.dynamicRoles())).as(ours()).isEqualTo(expected);
    }
    JsonNode atVault = vault.send("LIST", "sys/leases/lookup/database/creds/orders-ro", null);
    Set<String> active = new TreeSet<>();
    try (Connection database = survivor.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT regexp_replace(vault_lease_id, '.*/', '') FROM lease WHERE state ="
                        + " 'active' AND destination = 'orders-db'")) {
      while (rows.next()) {
        active.add(rows.getString(1));
      }
    }
    Set<String> listed = new TreeSet<>();
    atVault.at("/data/keys").forEach(key -> listed.add(key.asString()));
    assertThat(listed).isEqualTo(active).hasSize(kept.size());
  }

  /** What our table says, for whoever has to find out. */
  private static String ours() throws SQLException {
    StringBuilder text = new StringBuilder();
    try (Connection database = survivor.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT concat_ws(' ', state, settled, revoke_reason, attempts, vault_lease_id,"
                        + " created_at, ended_at, last_error) FROM lease ORDER BY created_at")) {
      while (rows.next()) {
        text.append('\n').append(rows.getString(1));
      }
    }
    return text.toString();
  }

  @Test
  void lostAnswersAndRepeatedRequests_leaveNothingBehind() throws Exception {
    try (RunningBroker broker = survivor.replica(settings)) {
      String token = LeaseWorld.token(broker.url(), "other-subject", "orders-db");
      int number = 0;
      for (Step step :
          List.of(
              new Step("POST", "auth/token/create/", Fault.LOSE_ANSWER),
              new Step("GET", "database/creds/", Fault.LOSE_ANSWER),
              new Step("POST", "auth/token/renew-accessor", Fault.LOSE_ANSWER))) {
        proxy.plan(step.method(), step.path(), step.fault(), () -> {});
        Answer refused = LeaseWorld.lease(broker.url(), token, "lost-" + number++);
        // The client repeats a GET by itself; the owner token then has two credentials.
        assertThat(refused.status())
            .as("%s", step)
            .isEqualTo(step.method().equals("GET") ? 201 : 503);
        if (refused.status() == 201) {
          LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + refused.id(), token, null);
        }
      }
      for (Step step :
          List.of(
              new Step("POST", "auth/token/create/", Fault.TWICE),
              new Step("GET", "database/creds/", Fault.TWICE),
              new Step("POST", "sys/leases/revoke", Fault.TWICE),
              new Step("POST", "auth/token/revoke-accessor", Fault.TWICE))) {
        Answer before = LeaseWorld.lease(broker.url(), token, "before-" + number);
        proxy.plan(step.method(), step.path(), step.fault(), () -> {});
        Answer lease = LeaseWorld.lease(broker.url(), token, "twice-" + number++);
        assertThat(lease.status()).as("%s", step).isEqualTo(201);
        for (Answer held : List.of(before, lease)) {
          LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + held.id(), token, null);
        }
        assertThat(proxy.done()).as("%s", step).isTrue();
      }
      await(
          "no role of this agent is left",
          BOUND,
          () -> {
            try (Connection database = survivor.database();
                var rows =
                    database
                        .createStatement()
                        .executeQuery(
                            "SELECT count(*) FROM lease WHERE agent = 'other' AND state <>"
                                + " 'revoked'")) {
              rows.next();
              return rows.getInt(1) == 0;
            } catch (SQLException e) {
              throw new IllegalStateException(e);
            }
          });
    }
    assertThat(vaultLeases()).isEqualTo(activeLeases());
  }

  private static int vaultLeases() {
    try {
      return vault
          .send("LIST", "sys/leases/lookup/database/creds/orders-ro", null)
          .at("/data/keys")
          .size();
    } catch (IllegalStateException none) {
      return 0;
    }
  }

  private static int activeLeases() throws SQLException {
    try (Connection database = survivor.database();
        var rows =
            database
                .createStatement()
                .executeQuery("SELECT count(*) FROM lease WHERE state = 'active'")) {
      rows.next();
      return rows.getInt(1);
    }
  }

  @Test
  void killedRightAfterAStop_theOtherReplicaEndsTheLeases() throws Exception {
    Answer lease;
    try (BrokerProcess broker = BrokerProcess.start(survivor, folder, settings)) {
      lease =
          LeaseWorld.lease(
              broker.url(),
              LeaseWorld.token(broker.url(), "other-subject", "orders-db"),
              "stopped");
      Answer stop =
          LeaseWorld.send(
              "POST",
              survivor.url() + "/admin/v1/stops",
              RunningBroker.BOOTSTRAP_TOKEN,
              "{\"target\":{\"agent\":\"other\"},\"reason\":\"a test\"}");
      broker.kill();
      assertThat(stop.status()).isEqualTo(201);
      LeaseWorld.send(
          "DELETE",
          survivor.url() + "/admin/v1/stops/" + stop.id(),
          RunningBroker.BOOTSTRAP_TOKEN,
          "{\"reason\":\"the test goes on\"}");
    }
    await("gone", BOUND, () -> !orders.dynamicRoles().contains(lease.username()));
  }

  /** Invariant: P10. */
  @Test
  void rollingRestart_ofTheReplicaThatHandedThemOut_takesNothingFromAnybody() throws Exception {
    Answer lease;
    try (BrokerProcess broker = BrokerProcess.start(survivor, folder, settings)) {
      lease =
          LeaseWorld.lease(
              broker.url(), LeaseWorld.token(broker.url(), "bot-subject", "orders-db"), "rolling");
      try (Connection session = orders.connect(lease.username(), lease.password())) {
        broker.terminate();
        try (BrokerProcess next = BrokerProcess.start(survivor, folder, settings)) {
          Answer renewed =
              LeaseWorld.send(
                  "POST",
                  next.url() + "/v1/leases/" + lease.id() + "/renew",
                  LeaseWorld.token(next.url(), "bot-subject", "orders-db"),
                  null);
          assertThat(renewed.status()).isEqualTo(200);
          session.createStatement().executeQuery("SELECT * FROM orders").close();
        }
      }
    }
    orders.connect(lease.username(), lease.password()).close();
    LeaseWorld.send(
        "DELETE",
        survivor.url() + "/v1/leases/" + lease.id(),
        LeaseWorld.token(survivor.url(), "bot-subject", "orders-db"),
        null);
  }
}
