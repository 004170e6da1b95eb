package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Leases of a real PostgreSQL through a real Vault. Invariants: P1, P3, P7, L1 to L6. */
@NeedsVault
class LeaseTest {

  private static final Duration P3 = Duration.ofSeconds(30);

  private static RealVault vault;
  private static OrdersDatabase orders;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    vault = RealVault.startOwn();
    orders = new OrdersDatabase();
    orders.configure(vault);
    String token = LeaseWorld.brokerToken(vault);
    broker = RunningBroker.start(LeaseWorld.settings(vault.uri().toString(), token));
    LeaseWorld.policy(broker, orders.origin(), "{\"maxTtl\":\"30m\",\"maxLive\":50}");
    new Policies(broker)
        .destination(
            "orders-app", LeaseWorld.destination(orders.origin(), "orders-app", ",\"static\":true"))
        .scope("orders-app", "app", "{\"lease\":{\"maxTtl\":\"10m\",\"maxLive\":2}}")
        .grant("bot-app", "bot", "orders-app", List.of("app"))
        .destination("small", LeaseWorld.destination(orders.origin(), "orders-ro", ""))
        .scope("small", "two", "{\"lease\":{\"maxLive\":2,\"maxTtl\":\"5s\"}}")
        .scope("small", "also", "{\"lease\":{}}")
        .grant("bot-small", "bot", "small", List.of("two", "also"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    orders.close();
    vault.close();
  }

  private static Answer lease(String key) throws Exception {
    return LeaseWorld.lease(broker.url(), token("bot-subject", "orders-db"), key);
  }

  private static String token(String subject, String destination) throws Exception {
    return LeaseWorld.token(broker.url(), subject, destination);
  }

  private static boolean isGone(Answer lease) {
    return !orders.dynamicRoles().contains(lease.username());
  }

  @Test
  void lease_isALoginThatDidNotExistBefore_andSeesOnlyWhatItsRoleAllows() throws Exception {
    List<String> before = orders.dynamicRoles();

    Answer lease = lease(null);

    assertThat(lease.status()).isEqualTo(201);
    assertThat(before).doesNotContain(lease.username());
    assertThat(lease.body().path("destination").asString()).isEqualTo("orders-db");
    assertThat(lease.body().path("renewable").asBoolean()).isTrue();
    assertThat(Instant.parse(lease.body().path("expires_at").asString()))
        .isBetween(Instant.now().plusSeconds(1700), Instant.now().plusSeconds(1801));
    try (Connection connection = orders.connect(lease.username(), lease.password());
        var statement = connection.createStatement()) {
      try (var rows = statement.executeQuery("SELECT count(*) FROM orders")) {
        rows.next();
        assertThat(rows.getInt(1)).isEqualTo(2);
      }
      assertThatThrownBy(() -> statement.executeQuery("SELECT * FROM salaries"))
          .hasMessageContaining("permission denied");
      assertThatThrownBy(() -> statement.execute("INSERT INTO orders VALUES (9)"))
          .hasMessageContaining("permission denied");
    }
    assertThatThrownBy(() -> orders.connect(lease.username(), "guessed"))
        .hasMessageContaining("password authentication failed");
  }

  @Test
  void release_endsTheLoginAndItsOpenSession() throws Exception {
    Answer lease = lease(null);
    String token = token("bot-subject", "orders-db");
    try (Connection session = orders.connect(lease.username(), lease.password())) {
      // Even one that became somebody else.
      session.createStatement().execute("SET ROLE orders_reader");
      Answer released =
          LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + lease.id(), token, null);

      assertThat(released.status()).isEqualTo(204);
      assertThat(isGone(lease)).isTrue();
      assertThatThrownBy(() -> session.createStatement().executeQuery("SELECT * FROM orders"))
          .isInstanceOf(SQLException.class);
    }
    assertThatThrownBy(() -> orders.connect(lease.username(), lease.password()))
        .isInstanceOf(SQLException.class);
    Answer now = LeaseWorld.send("GET", broker.url() + "/v1/leases/" + lease.id(), token, null);
    assertThat(now.state()).isEqualTo("revoked");
    // Again: nothing happens, and nothing is wrong.
    assertThat(
            LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + lease.id(), token, null)
                .status())
        .isEqualTo(204);
  }

  @Test
  void renew_makesLoginAndOwnerTokenLiveLonger_andTheDatabaseKnows() throws Exception {
    Answer lease = lease(null);
    String token = token("bot-subject", "orders-db");
    Thread.sleep(1100);

    Answer renewed =
        LeaseWorld.send("POST", broker.url() + "/v1/leases/" + lease.id() + "/renew", token, null);

    assertThat(renewed.status()).isEqualTo(200);
    assertThat(Instant.parse(renewed.body().path("expires_at").asString()))
        .isAfterOrEqualTo(Instant.parse(lease.body().path("expires_at").asString()));
    assertThat(renewed.body().has("credential")).isFalse();
    orders.connect(lease.username(), lease.password()).close();
  }

  @Test
  void sameKey_endsTheFirstLeaseAndGivesAnother() throws Exception {
    Answer first = lease("key-1");
    Answer second = lease("key-1");

    assertThat(second.status()).isEqualTo(201);
    assertThat(second.id()).isNotEqualTo(first.id());
    assertThat(second.username()).isNotEqualTo(first.username());
    await("the first is gone", P3, () -> isGone(first));
    orders.connect(second.username(), second.password()).close();
  }

  @Test
  void sameKeyOfAnotherAgent_isAnotherKey() throws Exception {
    Answer mine = lease("shared");
    Answer theirs = LeaseWorld.lease(broker.url(), token("other-subject", "orders-db"), "shared");

    assertThat(theirs.status()).isEqualTo(201);
    orders.connect(mine.username(), mine.password()).close();
  }

  @Test
  void limit_ofLiveLeases_holds_andExpiryMakesRoom() throws Exception {
    String token = token("bot-subject", "small");
    String body = "{\"destination\":\"small\",\"scope\":\"two\"}";
    Answer first = LeaseWorld.lease(broker.url(), token, "a", body);
    Answer second = LeaseWorld.lease(broker.url(), token, "b", body);

    Answer third = LeaseWorld.lease(broker.url(), token, "c", body);

    assertThat(List.of(first.status(), second.status())).containsOnly(201);
    assertThat(third.status()).isEqualTo(429);
    assertThat(third.code()).isEqualTo("lease_limit");
    await("both have expired", P3, () -> isGone(first) && isGone(second));
    await(
        "there is room",
        Duration.ofSeconds(5),
        () -> {
          try {
            return LeaseWorld.lease(broker.url(), token, "c", body).status() == 201;
          } catch (Exception e) {
            throw new IllegalStateException(e);
          }
        });
  }

  @Test
  void severalScopes_mustBeToldApart() throws Exception {
    Answer answer =
        LeaseWorld.lease(
            broker.url(), token("bot-subject", "small"), null, "{\"destination\":\"small\"}");

    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.code()).isEqualTo("invalid_scope");
  }

  @Test
  void leaseOfAnotherAgent_doesNotExist() throws Exception {
    Answer mine = lease(null);
    String others = token("other-subject", "orders-db");
    String url = broker.url() + "/v1/leases/" + mine.id();

    assertThat(LeaseWorld.send("GET", url, others, null).status()).isEqualTo(404);
    assertThat(LeaseWorld.send("DELETE", url, others, null).status()).isEqualTo(404);
    assertThat(LeaseWorld.send("POST", url + "/renew", others, null).status()).isEqualTo(404);
    String unknown = broker.url() + "/v1/leases/" + UUID.randomUUID();
    assertThat(LeaseWorld.send("GET", unknown, others, null).status()).isEqualTo(404);
    orders.connect(mine.username(), mine.password()).close();
  }

  @Test
  void pathThatLeadsElsewhere_leadsNowhere() throws Exception {
    String token = token("bot-subject", "orders-db");
    for (String path :
        List.of(
            "/v1/leases/../../admin/v1/issuers",
            "/v1/leases/%2e%2e/%2e%2e/admin/v1/issuers",
            "/v1/leases;x/../admin/v1/issuers",
            "/v1/leases//admin")) {
      Answer answer = LeaseWorld.send("GET", broker.url() + path, token, null);
      assertThat(answer.status()).as(path).isIn(400, 401, 404);
      assertThat(answer.body().has("items")).as(path).isFalse();
    }
  }

  @Test
  void narrowerRole_endsWhatWasLeasedByTheWiderOne() throws Exception {
    vault.policy(
        "valetkey-lease-database-orders-ro",
        "path \"database/creds/orders-ro\" { capabilities = [\"read\"] }");
    new Policies(broker)
        .destination("moving", LeaseWorld.destination(orders.origin(), "orders-ro", ""))
        .scope("moving", "use", "{\"lease\":{}}")
        .grant("bot-moving", "bot", "moving", List.of("use"))
        .await(broker);
    String token = token("bot-subject", "moving");
    Answer lease = LeaseWorld.lease(broker.url(), token, null, "{\"destination\":\"moving\"}");
    assertThat(lease.status()).isEqualTo(201);

    new Policies(broker)
        .write(
            "scope",
            "moving/use",
            "UPDATE scope SET spec = ?::jsonb WHERE destination = 'moving'",
            "{\"lease\":{\"role\":\"another\"}}")
        .await(broker);

    await("the wider login is gone", P3, () -> isGone(lease));
  }

  @Test
  void grantThatEnds_boundsTheLease() throws Exception {
    new Policies(broker)
        .destination("until", LeaseWorld.destination(orders.origin(), "orders-ro", ""))
        .scope("until", "use", "{\"lease\":{}}")
        .write(
            "grant",
            "bot-until",
            "INSERT INTO agent_grant (name, agent, destination, spec, version)"
                + " VALUES ('bot-until', 'bot', 'until', ?::jsonb, 1)",
            "{\"agent\":\"bot\",\"destination\":\"until\",\"scopes\":[\"use\"],\"expiresAt\":\"%s\"}"
                .formatted(Instant.now().plusSeconds(60).truncatedTo(ChronoUnit.SECONDS)))
        .await(broker);

    Answer lease =
        LeaseWorld.lease(
            broker.url(), token("bot-subject", "until"), null, "{\"destination\":\"until\"}");

    assertThat(lease.status()).isEqualTo(201);
    assertThat(Instant.parse(lease.body().path("expires_at").asString()))
        .isBefore(Instant.now().plusSeconds(62));
  }

  @Test
  void staticRole_givesTheAccount_andItsEndIsAnotherPassword() throws Exception {
    String token = token("bot-subject", "orders-app");
    Answer lease = LeaseWorld.lease(broker.url(), token, null, "{\"destination\":\"orders-app\"}");

    assertThat(lease.status()).isEqualTo(201);
    assertThat(lease.username()).isEqualTo("orders_static");
    assertThat(lease.body().path("renewable").asBoolean()).isFalse();
    orders.connect(lease.username(), lease.password()).close();
    var _ = LeaseWorld.send("DELETE", broker.url() + "/v1/leases/" + lease.id(), token, null);
    await(
        "the password is another one",
        P3,
        () -> {
          try (Connection connection = orders.connect(lease.username(), lease.password())) {
            return connection.isClosed();
          } catch (SQLException e) {
            return true;
          }
        });
  }

  @Test
  void selfTest_ofADestination_makesUsesEndsAndProvesItGone() throws Exception {
    List<String> before = orders.dynamicRoles();

    Answer test = selfTest("orders-db", null);

    assertThat(test.body().path("outcome").asString())
        .as(test.body().toString())
        .isEqualTo("passed");
    assertThat(test.body().path("steps").valueStream().map(s -> s.path("step").asString()).toList())
        .containsExactly(
            "template",
            "owner_token",
            "credential",
            "use",
            "valid_until",
            "privileges",
            "membership",
            "own_grants",
            "revoke",
            "session",
            "login");
    assertThat(orders.dynamicRoles()).isEqualTo(before);
  }

  @Test
  void selfTest_ofABadTemplate_saysWhatIsWrongWithIt() throws Exception {
    vault.send(
        "POST",
        "database/roles/careless",
        Map.of(
            "db_name",
            "orders",
            "creation_statements",
            "CREATE ROLE \"{{name}}\" WITH LOGIN CREATEDB PASSWORD '{{password}}'",
            "revocation_statements",
            "DROP ROLE IF EXISTS \"{{name}}\"",
            "default_ttl",
            "1h"));
    vault.policy(
        "valetkey-lease-database-careless",
        "path \"database/creds/careless\" { capabilities = [\"read\"] }");
    new Policies(broker)
        .destination("careless", LeaseWorld.destination(orders.origin(), "careless", ""))
        .scope("careless", "all", "{\"lease\":{}}")
        .await(broker);

    Answer test = selfTest("careless", "all");

    assertThat(test.body().path("outcome").asString()).isEqualTo("failed");
    List<String> failed =
        test.body()
            .path("steps")
            .valueStream()
            .filter(step -> step.path("result").asString().equals("failed"))
            .map(step -> step.path("step").asString())
            .toList();
    assertThat(failed)
        .containsExactly(
            "template",
            "template",
            "template",
            "template",
            "valid_until",
            "privileges",
            "membership",
            "session");
  }

  @Test
  void selfTest_whereNothingIsLeased_saysSo() throws Exception {
    assertThat(selfTest("small", null).code()).isEqualTo("invalid_request");
    assertThat(selfTest("nowhere", null).status()).isEqualTo(404);
  }

  private static Answer selfTest(String destination, String scope) throws Exception {
    return LeaseWorld.send(
        "POST",
        broker.url() + "/admin/v1/destinations/" + destination + "/test",
        RunningBroker.BOOTSTRAP_TOKEN,
        scope == null ? null : "{\"scope\":\"" + scope + "\"}");
  }

  @Test
  void audit_knowsTheLeaseFromItsBeginningToItsEnd_withoutASecret() throws Exception {
    Answer lease = lease(null);
    var _ =
        LeaseWorld.send(
            "DELETE",
            broker.url() + "/v1/leases/" + lease.id(),
            token("bot-subject", "orders-db"),
            null);
    await("the end is recorded", P3, () -> actions(lease.id()).contains("lease.end"));

    assertThat(actions(lease.id())).containsExactly("lease.create", "lease.release", "lease.end");
    try (Connection database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT (SELECT string_agg(t::text, '') FROM audit_record t),"
                        + " (SELECT string_agg(t::text, '') FROM lease t)")) {
      rows.next();
      assertThat(rows.getString(1) + rows.getString(2)).doesNotContain(lease.password());
    }
  }

  private static List<String> actions(String lease) {
    try (Connection database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT action FROM audit_record WHERE details ->> 'lease' = ? ORDER BY time,"
                    + " writer")) {
      statement.setString(1, lease);
      List<String> actions = new java.util.ArrayList<>();
      try (var rows = statement.executeQuery()) {
        while (rows.next()) {
          actions.add(rows.getString(1));
        }
      }
      return actions;
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }
}
