package io.valetkey.broker.limit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.policy.PolicyDatabase;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Budgets over several replicas, on a real database. Invariants: D18, D19, D20. */
class GrantBudgetsTest {

  private static String url;
  private static final AtomicInteger GRANTS = new AtomicInteger();

  private final String grant = "grant-" + GRANTS.incrementAndGet();
  private final List<Replica> replicas = new ArrayList<>();

  @BeforeAll
  static void create() {
    url = PolicyDatabase.newUrl();
  }

  /** A day that ends in the middle would begin a new window. */
  @BeforeEach
  void keepClearOfMidnight() throws InterruptedException {
    while (LocalTime.now(ZoneOffset.UTC).isAfter(LocalTime.of(23, 55))) {
      Thread.sleep(1000);
    }
  }

  @AfterEach
  void end() throws SQLException {
    replicas.forEach(replica -> replica.rounds.close());
    execute("DELETE FROM gateway_replica");
  }

  private static Caps tokens(long perDay) {
    return new Caps(0, perDay, 0, 0);
  }

  private static Caps streams(long most) {
    return new Caps(0, 0, 0, most);
  }

  /** One gateway's part, with a clock that can be moved and a way to the database that can end. */
  private final class Replica {
    final AtomicLong ahead = new AtomicLong();
    final AtomicBoolean cutOff = new AtomicBoolean();
    final GrantBudgets budgets = new GrantBudgets(() -> System.nanoTime() + ahead.get());
    final LimitRounds rounds =
        new LimitRounds(this::open, new GrantRates(System::nanoTime), budgets);

    private Connection open() throws SQLException {
      if (cutOff.get()) {
        throw new SQLException("cut off");
      }
      return DriverManager.getConnection(url);
    }

    /** Null if it is refused. */
    @Nullable GrantMeter begin(Caps caps) {
      try {
        budgets.requireLeft(grant, caps);
        return budgets.begin(grant, caps);
      } catch (RefusedException e) {
        return null;
      }
    }

    @Nullable ProblemCode refusal(Caps caps) {
      try {
        budgets.requireLeft(grant, caps);
        budgets.begin(grant, caps).end();
        return null;
      } catch (RefusedException e) {
        return e.code();
      }
    }

    boolean use(Caps caps, long tokens) {
      GrantMeter meter = begin(caps);
      if (meter == null) {
        return false;
      }
      meter.modelTokens(tokens, true);
      meter.end();
      return true;
    }

    /** As if the process were killed: nothing is given back. */
    void die() {
      cutOff.set(true);
      breakConnections();
      await()
          .atMost(Duration.ofSeconds(10))
          .until(() -> {
            begin(new Caps(0, 0, 0, 1000));
            return budgets.unknown() > 0;
          });
    }
  }

  private Replica replica() throws SQLException {
    execute(
        "INSERT INTO gateway_replica (id, seen_epoch, serves_millis) VALUES ('%s', 0, 60000)"
            .formatted(UUID.randomUUID()));
    Replica started = new Replica();
    replicas.add(started);
    return started;
  }

  private static void execute(String sql) throws SQLException {
    try (Connection connection = DriverManager.getConnection(url);
        var statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static void breakConnections() {
    try {
      execute(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
              + " AND datname = current_database() AND query LIKE '%grant_budget_take%'");
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private long number(String sql) throws SQLException {
    try (Connection connection = DriverManager.getConnection(url);
        var rows = connection.createStatement().executeQuery(sql.formatted(grant))) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private long used() throws SQLException {
    return number("SELECT coalesce(sum(used), 0) FROM grant_budget WHERE grant_name = '%s'");
  }

  private long held() throws SQLException {
    return number(
        "SELECT coalesce(sum(held), 0) FROM grant_budget_lease WHERE grant_name = '%s'"
            + " AND until > clock_timestamp()");
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void manyClientsOfTwoReplicas_useTheBudgetAndWhatWasInFlight() throws Exception {
    Caps caps = tokens(100_000);
    long cost = 100;
    List<Replica> two = List.of(replica(), replica());
    AtomicLong spent = new AtomicLong();
    AtomicInteger refused = new AtomicInteger();
    try (ExecutorService clients = Executors.newFixedThreadPool(64)) {
      for (int i = 0; i < 64; i++) {
        Replica at = two.get(i % 2);
        clients.execute(() -> {
          long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
          while (refused.get() < 400 && System.nanoTime() < end) {
            GrantMeter meter = at.begin(caps);
            if (meter == null) {
              refused.addAndGet(at.refusal(caps) == ProblemCode.BUDGET_EXCEEDED ? 1 : 0);
              sleep(5);
              continue;
            }
            sleep(3);
            spent.addAndGet(cost);
            meter.modelTokens(cost, true);
            meter.end();
          }
        });
      }
    }
    System.out.printf(
        "64 clients, 2 replicas, %d tokens a day, %d each: %d spent, portion %d%n",
        caps.modelTokensPerDay(), cost, spent.get(), Budget.portion(caps.modelTokensPerDay()));
    assertThat(refused.get()).isGreaterThanOrEqualTo(400);
    assertThat(spent.get())
        .isLessThanOrEqualTo(
            caps.modelTokensPerDay() + 64 * cost + Budget.portion(caps.modelTokensPerDay()))
        .isGreaterThan(caps.modelTokensPerDay() * 9 / 10);
    await().atMost(Duration.ofSeconds(10)).until(() -> used() == spent.get());
    assertThatThrownBy(() -> two.getFirst().budgets.requireLeft(grant, caps))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> {
              assertThat(e.detail()).contains("limits.modelTokensPerDay", grant);
              assertThat(e.retryAfterSeconds()).isBetween(1, 86_400);
            });
  }

  @Test
  void whatIsUsed_isChargedExactlyOnce_howeverOftenTheConnectionBreaks() throws Exception {
    Caps caps = tokens(1_000_000);
    Replica replica = replica();
    long spent = 0;
    for (int i = 0; i < 1500; i++) {
      spent += replica.use(caps, 7) ? 7 : 0;
      if (i % 100 == 0) {
        breakConnections();
      }
      sleep(1);
    }
    long exact = spent;
    assertThat(exact).isGreaterThan(700);
    await().atMost(Duration.ofSeconds(15)).until(() -> used() == exact);
    Thread.sleep(1500);
    assertThat(used()).isEqualTo(exact);
  }

  @Test
  void databaseThatHangs_isNotWaitedFor_andWhatIsNotLeasedIsRefused() throws Exception {
    Caps caps = tokens(10_000);
    Replica replica = replica();
    await().until(() -> replica.use(caps, 1) && held() > 100);
    try (Connection lock = DriverManager.getConnection(url)) {
      lock.setAutoCommit(false);
      lock.createStatement().execute("LOCK TABLE grant_budget IN ACCESS EXCLUSIVE MODE");
      long begun = System.nanoTime();
      int served = 0;
      while (replica.use(caps, 10) && served < 10_000) {
        served++;
      }
      Duration took = Duration.ofNanos(System.nanoTime() - begun);
      System.out.printf(
          "database locked: %d times 10 tokens from what was leased, in %d ms%n",
          served, took.toMillis());
      assertThat(served).isBetween(1, 999);
      assertThat(took).isLessThan(Duration.ofSeconds(1));
      assertThat(replica.refusal(caps)).isEqualTo(ProblemCode.LIMITS_UNAVAILABLE);
    }
    await().until(() -> replica.use(caps, 1));
  }

  @Test
  void databaseThatWasNeverThere_letsAFewThroughAndThenNobody() throws Exception {
    Replica replica = replica();
    replica.cutOff.set(true);
    int served = 0;
    for (int i = 0; i < 100; i++) {
      served += replica.begin(tokens(1_000_000)) == null ? 0 : 1;
      Thread.sleep(10);
    }
    assertThat(served).isBetween(1, 4);
    assertThat(replica.refusal(tokens(1_000_000))).isEqualTo(ProblemCode.LIMITS_UNAVAILABLE);
  }

  @Test
  void newWindow_isWholeAgain() throws Exception {
    Caps caps = tokens(1000);
    Replica replica = replica();
    await()
        .until(() -> {
          replica.use(caps, 400);
          return replica.refusal(caps) == ProblemCode.BUDGET_EXCEEDED;
        });
    assertThat(used()).isGreaterThanOrEqualTo(1000);
    execute(
        "UPDATE grant_budget SET since = since - interval '1 day' WHERE grant_name = '%s'"
            .formatted(grant));
    assertThat(replica.refusal(caps)).isEqualTo(ProblemCode.BUDGET_EXCEEDED);

    await().atMost(Duration.ofSeconds(20)).until(() -> replica.use(caps, 1));
    assertThat(used()).isLessThan(1000);
  }

  @Test
  void changedBudget_appliesAtOnce() throws Exception {
    Replica replica = replica();
    await()
        .until(() -> {
          replica.use(tokens(100), 60);
          return replica.refusal(tokens(100)) == ProblemCode.BUDGET_EXCEEDED;
        });
    await().atMost(Duration.ofSeconds(5)).until(() -> replica.use(tokens(100_000), 1));
    await()
        .atMost(Duration.ofSeconds(5))
        .until(() -> replica.refusal(tokens(50)) == ProblemCode.BUDGET_EXCEEDED);
  }

  @Test
  void bytes_areChargedWhileTheyStream() throws Exception {
    Caps caps = new Caps(0, 0, 1 << 20, 0);
    Replica replica = replica();
    await().until(() -> replica.refusal(caps) == null && held() > 0);
    GrantMeter meter = replica.begin(caps);
    assertThat(meter).isNotNull();
    for (int i = 0; i < 150; i++) {
      meter.passed(8 * 1024);
    }
    await()
        .atMost(Duration.ofSeconds(5))
        .until(() -> replica.refusal(caps) == ProblemCode.BUDGET_EXCEEDED);
    meter.end();
    await().atMost(Duration.ofSeconds(5)).until(() -> used() == 150 * 8 * 1024);
    meter.end();
    Thread.sleep(1200);
    assertThat(used()).isEqualTo(150 * 8 * 1024);
  }

  @Test
  void streamsOfTwoReplicas_areNeverMoreThanTheLimitAndOneForEach() throws Exception {
    int limit = 20;
    List<Replica> two = List.of(replica(), replica());
    AtomicInteger open = new AtomicInteger();
    AtomicInteger highest = new AtomicInteger();
    AtomicInteger served = new AtomicInteger();
    long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
    try (ExecutorService clients = Executors.newFixedThreadPool(64)) {
      for (int i = 0; i < 64; i++) {
        Replica at = two.get(i % 2);
        clients.execute(() -> {
          while (System.nanoTime() < end) {
            GrantMeter meter = at.begin(streams(limit));
            if (meter == null) {
              sleep(10);
              continue;
            }
            highest.accumulateAndGet(open.incrementAndGet(), Math::max);
            served.incrementAndGet();
            sleep(30);
            open.decrementAndGet();
            meter.end();
          }
        });
      }
    }
    System.out.printf(
        "64 clients, 2 replicas, %d streams: %d open at most, %d served%n",
        limit, highest.get(), served.get());
    assertThat(highest.get()).isBetween(limit / 2, limit + 2);
    await().atMost(Duration.ofSeconds(10)).until(() -> held() <= 2);
    // All of them come back.
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> {
          GrantMeter meter = two.getFirst().begin(streams(limit));
          if (meter != null) {
            open.incrementAndGet();
          }
          return open.get() >= limit - 2;
        });
  }

  @Test
  void replicaThatDies_leavesItsStreamsToTheOthersWithinTheLease() throws Exception {
    int limit = 8;
    Replica dying = replica();
    Replica other = replica();
    List<GrantMeter> open = new ArrayList<>();
    await()
        .until(() -> {
          GrantMeter meter = dying.begin(streams(limit));
          if (meter != null) {
            open.add(meter);
          }
          return open.size() == limit;
        });
    await().until(() -> held() == limit);
    await().until(() -> other.refusal(streams(limit)) == ProblemCode.RATE_LIMITED);
    long begun = System.nanoTime();
    dying.die();
    await().atMost(Duration.ofSeconds(30)).until(() -> other.refusal(streams(limit)) == null);
    Duration took = Duration.ofNanos(System.nanoTime() - begun);
    System.out.printf(
        "a replica died with all streams: free again after %.1f s%n", took.toMillis() / 1e3);
    assertThat(took).isLessThan(Duration.ofSeconds(30));
  }

  @Test
  void streamsThatStayOpen_areKeptForTheirReplica() throws Exception {
    int limit = 4;
    Replica one = replica();
    Replica other = replica();
    List<GrantMeter> open = new ArrayList<>();
    await()
        .until(() -> {
          GrantMeter meter = one.begin(streams(limit));
          if (meter != null) {
            open.add(meter);
          }
          return open.size() == limit;
        });
    // One may go ahead of the first answer.
    await().until(() -> other.refusal(streams(limit)) == ProblemCode.RATE_LIMITED);
    for (int i = 0; i < 20; i++) {
      Thread.sleep(1000);
      assertThat(other.refusal(streams(limit))).isNotNull();
    }
    open.forEach(GrantMeter::end);
    await().atMost(Duration.ofSeconds(10)).until(() -> other.refusal(streams(limit)) == null);
  }

  @Test
  void busyReplica_givesBackWhatItDoesNotNeed() throws Exception {
    int limit = 30;
    Replica busy = replica();
    Replica other = replica();
    List<GrantMeter> open = new ArrayList<>();
    await()
        .until(() -> {
          GrantMeter meter = busy.begin(streams(limit));
          if (meter != null) {
            open.add(meter);
          }
          return open.size() == limit;
        });
    open.forEach(GrantMeter::end);
    // It goes on with one at a time; the other one needs most of them.
    List<GrantMeter> others = new ArrayList<>();
    await()
        .atMost(Duration.ofSeconds(60))
        .pollInterval(Duration.ofMillis(50))
        .until(() -> {
          GrantMeter short1 = busy.begin(streams(limit));
          if (short1 != null) {
            short1.end();
          }
          GrantMeter meter = other.begin(streams(limit));
          if (meter != null) {
            others.add(meter);
          }
          return others.size() >= limit - 4;
        });
  }

  @Test
  void grantsThatNobodyUses_areForgotten_andCostNoConnection() throws Exception {
    Replica replica = replica();
    assertThat(replica.use(tokens(1000), 1)).isTrue();
    await().until(() -> used() == 1);
    replica.ahead.addAndGet(Duration.ofSeconds(300).toNanos());
    await().atMost(Duration.ofSeconds(5)).until(() -> replica.budgets.size() == 0);
    // What comes after that is charged on top.
    await().until(() -> replica.use(tokens(1000), 2));
    await().atMost(Duration.ofSeconds(5)).until(() -> used() == 3);
  }
}
