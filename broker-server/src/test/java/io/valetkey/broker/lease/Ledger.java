package io.valetkey.broker.lease;

import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import javax.sql.DataSource;

/**
 * The transaction of pgbench (TPC-B-like: three updates, a select, an insert) from several threads
 * without a pause, and the books that must balance afterwards.
 */
final class Ledger implements AutoCloseable {

  private static final int ACCOUNTS = 1000;

  private final OrdersDatabase orders;
  private final Set<String> users = ConcurrentHashMap.newKeySet();
  private final List<SQLException> errors = new CopyOnWriteArrayList<>();
  private final AtomicLong committed = new AtomicLong();
  private final List<Thread> threads = new ArrayList<>();
  private volatile boolean running = true;

  Ledger(OrdersDatabase orders) {
    this.orders = orders;
    orders.execute(
        "CREATE TABLE branches (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
        "CREATE TABLE tellers (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0)",
        "CREATE TABLE history (teller int, branch int, account int, delta int, login name)",
        "INSERT INTO branches VALUES (1)",
        "INSERT INTO tellers SELECT generate_series(1, 10)",
        "INSERT INTO accounts SELECT generate_series(1, " + ACCOUNTS + ")",
        "GRANT SELECT, UPDATE ON branches, tellers, accounts TO orders_reader",
        "GRANT SELECT, INSERT ON history TO orders_reader");
  }

  void start(DataSource pool, int clients) {
    for (int i = 0; i < clients; i++) {
      threads.add(Thread.ofPlatform().name("pgbench-" + i).start(() -> work(pool)));
    }
  }

  private void work(DataSource pool) {
    while (running) {
      try (Connection connection = pool.getConnection()) {
        connection.setAutoCommit(false);
        users.add(transaction(connection));
        connection.commit();
        committed.incrementAndGet();
      } catch (SQLException e) {
        errors.add(e);
      }
    }
  }

  private static String transaction(Connection connection) throws SQLException {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    int account = random.nextInt(ACCOUNTS) + 1;
    int teller = random.nextInt(10) + 1;
    int delta = random.nextInt(-5000, 5001);
    try (var statement = connection.createStatement()) {
      statement.execute(
          "UPDATE accounts SET balance = balance + " + delta + " WHERE id = " + account);
      statement.execute("SELECT balance FROM accounts WHERE id = " + account);
      statement.execute(
          "UPDATE tellers SET balance = balance + " + delta + " WHERE id = " + teller);
      statement.execute("UPDATE branches SET balance = balance + " + delta + " WHERE id = 1");
      statement.execute(
          "INSERT INTO history VALUES ("
              + teller
              + ", 1, "
              + account
              + ", "
              + delta
              + ", current_user)");
      try (var rows = statement.executeQuery("SELECT current_user")) {
        rows.next();
        return rows.getString(1);
      }
    }
  }

  /** The logins under which something was committed. */
  Set<String> users() {
    return Set.copyOf(users);
  }

  List<SQLException> errors() {
    return errors;
  }

  long committed() {
    return committed.get();
  }

  void stop() throws InterruptedException {
    running = false;
    for (Thread thread : threads) {
      if (!thread.join(Duration.ofSeconds(30))) {
        throw new AssertionError(thread.getName() + " hangs");
      }
    }
  }

  /** What the database says: transactions, and whether all balances agree. */
  String books() throws SQLException {
    try (Connection connection = orders.connect("postgres", "");
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    """
                    SELECT (SELECT count(*) FROM history),
                        (SELECT sum(delta) FROM history) = (SELECT sum(balance) FROM accounts)
                        AND (SELECT sum(delta) FROM history) = (SELECT sum(balance) FROM tellers)
                        AND (SELECT sum(delta) FROM history) = (SELECT sum(balance) FROM branches)
                    """)) {
      rows.next();
      return rows.getLong(1) + " transactions, balanced: " + rows.getBoolean(2);
    }
  }

  @Override
  public void close() throws InterruptedException {
    stop();
  }
}
