package io.valetkey.broker.lease;

import static io.valetkey.broker.lease.LeaseWorld.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.lease.LeaseWorld.Answer;
import io.valetkey.client.Lease;
import io.valetkey.client.RefusedException;
import io.valetkey.client.Valetkey;
import io.valetkey.client.hikari.LeasedLogins;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The client library and its HikariCP adapter against the real broker, a real Vault and a real
 * PostgreSQL. Invariant: P3.
 */
@NeedsVault
class LeasedPoolTest {

  private static final Duration P3 = Duration.ofSeconds(30);
  private static final int ROTATIONS = 3;

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
    LeaseWorld.policy(broker, orders.origin(), "{\"maxTtl\":\"30m\",\"maxLive\":4}");
    new Policies(broker)
        .destination("orders-short", LeaseWorld.destination(orders.origin(), "orders-ro", ""))
        .scope("orders-short", "read", "{\"lease\":{\"maxTtl\":\"10s\",\"maxLive\":3}}")
        .grant("other-short", "other", "orders-short", List.of("read"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    orders.close();
    vault.close();
  }

  private static Valetkey valetkey(String subject) {
    return Valetkey.builder()
        .brokerUrl(broker.url())
        .identity(() -> LeaseWorld.ISSUER.token(subject, broker.url()))
        .build();
  }

  private static HikariDataSource pool(int size) {
    HikariDataSource pool = new HikariDataSource();
    pool.setMaximumPoolSize(size);
    pool.setConnectionTimeout(2_000);
    pool.setValidationTimeout(1_000);
    return pool;
  }

  private static String user(Connection connection) throws SQLException {
    try (var rows = connection.createStatement().executeQuery("SELECT current_user")) {
      rows.next();
      return rows.getString(1);
    }
  }

  @Test
  void lease_inThreeLines_isALogin_andIsGoneAfterwards() throws Exception {
    String username;
    try (Lease lease = valetkey("other-subject").lease("orders-db");
        Connection connection = DriverManager.getConnection(lease.jdbcUrl(), lease.properties())) {
      username = user(connection);
      assertThat(username).isEqualTo(lease.username());
      assertThat(lease.renew()).isNotNull();
    }
    assertThat(orders.dynamicRoles()).doesNotContain(username);
  }

  @Test
  void rotations_underLoad_areNotNoticed_andLeaveOneRole() throws Exception {
    HikariDataSource pool = pool(8);
    try (LeasedLogins logins =
            LeasedLogins.attach(pool, valetkey("other-subject").destination("orders-short"));
        Ledger ledger = new Ledger(orders)) {
      ledger.start(pool, 6);
      await(
          ROTATIONS + " rotations",
          Duration.ofSeconds(90),
          () -> ledger.users().size() > ROTATIONS || !ledger.errors().isEmpty());
      ledger.stop();

      System.out.printf(
          "%d transactions under %d logins of 10 s, %d errors%n",
          ledger.committed(), ledger.users().size(), ledger.errors().size());
      assertThat(ledger.errors()).isEmpty();
      assertThat(ledger.books()).isEqualTo(ledger.committed() + " transactions, balanced: true");
      // The ones before it end within half of a life of the last one's beginning.
      await(
          "only the live login is left",
          Duration.ofSeconds(12),
          () -> orders.dynamicRoles().size() == 1);
      pool.close();
      logins.close();
      assertThat(orders.dynamicRoles()).isEmpty();
    } finally {
      pool.close();
    }
  }

  @Test
  void stop_endsTheSessionsOfThePool_andNewConnectionsSayWhy_untilItIsLifted() throws Exception {
    HikariDataSource pool = pool(3);
    try (LeasedLogins logins =
        LeasedLogins.attach(pool, valetkey("bot-subject").destination("orders-db"))) {
      String username;
      try (Connection one = pool.getConnection();
          Connection two = pool.getConnection()) {
        username = user(one);
        assertThat(user(two)).isEqualTo(username);
        assertThatThrownBy(() -> LeasedLogins.attach(pool, valetkey("x").destination("orders-db")))
            .as("too late: some of its connections have another life")
            .isInstanceOf(IllegalStateException.class);

        Answer stop =
            LeaseWorld.send(
                "POST",
                broker.url() + "/admin/v1/stops",
                RunningBroker.BOOTSTRAP_TOKEN,
                "{\"target\":{\"agent\":\"bot\"},\"reason\":\"a test\"}");
        assertThat(stop.status()).isEqualTo(201);

        await("the login is gone", P3, () -> !orders.dynamicRoles().contains(username));
        assertThatThrownBy(() -> one.createStatement().execute("SELECT 1"))
            .isInstanceOf(SQLException.class);
        assertThat(refusal(pool)).hasMessageContaining("orders-db");
        Answer lifted =
            LeaseWorld.send(
                "DELETE",
                broker.url() + "/admin/v1/stops/" + stop.id(),
                RunningBroker.BOOTSTRAP_TOKEN,
                "{\"reason\":\"tested\"}");
        assertThat(lifted.status()).isLessThan(300);
      }
      await("it works again", Duration.ofSeconds(30), () -> !works(pool, username).isEmpty());
      assertThat(works(pool, username)).isNotEqualTo(username);
      assertThat(logins.toString()).contains("redacted");
    } finally {
      pool.close();
    }
  }

  /** Why the pool opens no connection; what it has at hand may be dead for half a second. */
  private static RefusedException refusal(HikariDataSource pool) {
    List<String> seen = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      try (Connection connection = pool.getConnection()) {
        seen.add(user(connection));
      } catch (SQLException e) {
        if (e.getCause() instanceof RefusedException refused) {
          return refused;
        }
        seen.add(String.valueOf(e));
      }
    }
    throw new AssertionError("nobody was refused: " + seen);
  }

  private static String works(HikariDataSource pool, String before) {
    try (Connection connection = pool.getConnection()) {
      return user(connection).equals(before) ? "" : user(connection);
    } catch (SQLException e) {
      return "";
    }
  }

  /**
   * What a pool does whose sessions are ended, and an attacker all the more: logging in again and
   * again while the login is taken away, each time as the group role, whose rights do not go with
   * the login. Vault runs a revocation as one transaction, so the template commits its NOLOGIN
   * first; without that the last of them got in, and stayed.
   */
  @Test
  void release_whileSomebodyKeepsLoggingIn_leavesNoSession() throws Exception {
    Valetkey valetkey = valetkey("other-subject");
    for (int round = 0; round < 5; round++) {
      Lease lease = valetkey.lease("orders-db");
      Properties login = lease.properties();
      login.setProperty("options", "-c role=orders_reader");
      List<Connection> opened = new CopyOnWriteArrayList<>();
      AtomicBoolean running = new AtomicBoolean(true);
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        threads.add(Thread.ofPlatform().start(() -> keepLoggingIn(lease, login, running, opened)));
      }
      await("sessions", P3, () -> opened.size() >= 3);

      lease.close();

      running.set(false);
      for (Thread thread : threads) {
        thread.join();
      }
      List<Connection> alive = new ArrayList<>(opened);
      alive.removeIf(session -> !reads(session));
      assertThat(alive)
          .as("sessions that go on, round %d of %d opened", round, opened.size())
          .isEmpty();
      for (Connection session : opened) {
        session.close();
      }
    }
  }

  private static void keepLoggingIn(
      Lease lease, Properties login, AtomicBoolean running, List<Connection> opened) {
    while (running.get()) {
      try {
        Connection session = DriverManager.getConnection(lease.jdbcUrl(), login);
        opened.add(session);
        while (running.get() && reads(session)) {
          Thread.sleep(1);
        }
      } catch (SQLException e) {
        // Not let in.
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private static boolean reads(Connection session) {
    try (var statement = session.createStatement();
        var rows = statement.executeQuery("SELECT count(*) FROM orders")) {
      return rows.next();
    } catch (SQLException e) {
      return false;
    }
  }
}
