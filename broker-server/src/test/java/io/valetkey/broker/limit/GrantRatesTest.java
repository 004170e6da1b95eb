package io.valetkey.broker.limit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.limit.GrantRates.Answer;
import io.valetkey.broker.policy.PolicyDatabase;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Requests per minute over several replicas, on a real database. Invariants: D13, D14. */
class GrantRatesTest {

  private static String url;
  private static final AtomicInteger GRANTS = new AtomicInteger();

  private final String grant = "grant-" + GRANTS.incrementAndGet();
  private final List<Replica> replicas = new ArrayList<>();

  @BeforeAll
  static void create() {
    url = PolicyDatabase.newUrl();
  }

  @AfterEach
  void end() throws SQLException {
    replicas.forEach(replica -> replica.rounds.close());
    execute("DELETE FROM gateway_replica");
  }

  /** One gateway's part, with a clock that can be moved. */
  private static final class Replica {
    final AtomicLong ahead = new AtomicLong();
    final GrantRates rates = new GrantRates(() -> System.nanoTime() + ahead.get());
    final LimitRounds rounds;

    Replica() {
      this.rounds =
          new LimitRounds(
              () -> DriverManager.getConnection(url), rates, new GrantBudgets(System::nanoTime));
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

  private double used() throws SQLException {
    try (Connection connection = DriverManager.getConnection(url);
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    "SELECT coalesce(sum(used), 0) FROM grant_rate WHERE grant_name = '%s'"
                        .formatted(grant))) {
      rows.next();
      return rows.getDouble(1);
    }
  }

  /** How many of so many requests in a row may go on. */
  private int taken(Replica replica, int perMinute, int requests) {
    int taken = 0;
    for (int i = 0; i < requests; i++) {
      taken += replica.rates.take(grant, perMinute) == Answer.TAKEN ? 1 : 0;
    }
    return taken;
  }

  /** Takes until the limit is used up, which it must be, and says how many it were. */
  private int drain(Replica replica, int perMinute) throws InterruptedException {
    int taken = 0;
    Answer last = Answer.TAKEN;
    while (last != Answer.USED_UP) {
      last = replica.rates.take(grant, perMinute);
      taken += last == Answer.TAKEN ? 1 : 0;
      if (last == Answer.UNKNOWN) {
        Thread.sleep(1);
      }
    }
    return taken;
  }

  @Test
  void manyClientsOfTwoReplicas_getTheLimitAndAtMostOnePortionMore() throws Exception {
    int limit = 1200;
    List<Replica> two = List.of(replica(), replica());
    AtomicInteger taken = new AtomicInteger();
    AtomicLong slowest = new AtomicLong();
    long begun = System.nanoTime();
    long end = begun + Duration.ofSeconds(4).toNanos();
    try (ExecutorService clients = Executors.newFixedThreadPool(64)) {
      for (int i = 0; i < 64; i++) {
        Replica at = two.get(i % 2);
        clients.execute(() -> {
          while (System.nanoTime() < end) {
            long asked = System.nanoTime();
            if (at.rates.take(grant, limit) == Answer.TAKEN) {
              taken.incrementAndGet();
            }
            slowest.accumulateAndGet(System.nanoTime() - asked, Math::max);
            sleep(2);
          }
        });
      }
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    double fair = limit + seconds * limit / 60;
    System.out.printf(
        "64 clients, 2 replicas, %d per minute, %.1f s: %d taken, exact would be %.1f (portion %d)%n",
        limit, seconds, taken.get(), fair, GrantRates.portion(limit));
    assertThat((double) taken.get()).isLessThanOrEqualTo(fair + GrantRates.portion(limit));
    assertThat((double) taken.get()).isGreaterThan(fair - 2 * GrantRates.portion(limit));
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void databaseThatHangs_isNotWaitedFor_andWhatIsNotLeasedIsRefused() throws Exception {
    int limit = 6000;
    Replica replica = replica();
    await().until(() -> replica.rates.take(grant, limit) == Answer.TAKEN && used() > 1);
    try (Connection lock = DriverManager.getConnection(url)) {
      lock.setAutoCommit(false);
      lock.createStatement().execute("LOCK TABLE grant_rate IN ACCESS EXCLUSIVE MODE");
      long begun = System.nanoTime();
      int taken = taken(replica, limit, 2000);
      Duration took = Duration.ofNanos(System.nanoTime() - begun);

      System.out.printf(
          "database locked: %d of 2000 served from what was leased, all answered in %d ms%n",
          taken, took.toMillis());
      assertThat(taken).isBetween(1, 1999);
      assertThat(took).isLessThan(Duration.ofSeconds(1));
      assertThat(replica.rates.take(grant, limit)).isEqualTo(Answer.UNKNOWN);
      assertThat(replica.rates.take("never-seen-" + grant, limit))
          .as("what may be served ahead is small and bounded")
          .isEqualTo(Answer.TAKEN);
      assertThat(
              IntStream.range(0, 2000)
                  .filter(i -> replica.rates.take("never-seen-" + grant, limit) == Answer.TAKEN)
                  .count())
          .isLessThan(GrantRates.portion(limit));
    }
    await().until(() -> replica.rates.take(grant, limit) == Answer.TAKEN);
  }

  @Test
  void databaseThatIsAway_servesNothingMoreThanWasLeased() throws Exception {
    GrantRates rates = new GrantRates(System::nanoTime);
    try (var rounds =
        new LimitRounds(
            () -> {
              throw new SQLException("away");
            },
            rates,
            new GrantBudgets(System::nanoTime))) {
      int taken = 0;
      for (int i = 0; i < 200; i++) {
        taken += rates.take(grant, 60) == Answer.TAKEN ? 1 : 0;
        Thread.sleep(5);
      }
      assertThat(taken).isLessThanOrEqualTo(GrantRates.portion(60));
      assertThat(rates.take(grant, 60)).isEqualTo(Answer.UNKNOWN);
      assertThat(rates.unknown()).isGreaterThan(100);
    }
  }

  @Test
  void changedLimit_appliesAtOnce() throws Exception {
    Replica replica = replica();
    assertThat(drain(replica, 60)).isBetween(60, 75);

    await()
        .atMost(Duration.ofSeconds(5))
        .until(() -> taken(replica, 6000, 1) == 1 && taken(replica, 6000, 20) == 20);
    int more = drain(replica, 6000);
    assertThat(more).isBetween(5000, 6500);

    replica.rates.take(grant, 10);
    await().until(() -> replica.rates.take(grant, 10) == Answer.USED_UP);
    assertThat(taken(replica, 10, 1000)).isZero();
  }

  @Test
  void portionThatNobodyUses_goesBackToTheOthers() throws Exception {
    Replica idle = replica();
    await().until(() -> idle.rates.take(grant, 600) == Answer.TAKEN && used() > 30);
    int held = (int) used();

    idle.ahead.addAndGet(Duration.ofSeconds(20).toNanos());
    await().atMost(Duration.ofSeconds(5)).until(() -> used() < held - 20);
    idle.ahead.addAndGet(Duration.ofSeconds(200).toNanos());
    await().atMost(Duration.ofSeconds(5)).until(() -> idle.rates.size() == 0);
  }

  @Test
  void replicaThatLeaves_givesBackWhatItHolds() throws Exception {
    Replica leaving = replica();
    await().until(() -> leaving.rates.take(grant, 600) == Answer.TAKEN && used() > 30);

    leaving.rounds.close();

    assertThat(used()).isLessThan(30);
  }

  @Test
  void grantsThatNobodyUses_costNoConnectionAndNoMemory() throws Exception {
    AtomicInteger opened = new AtomicInteger();
    GrantRates rates = new GrantRates(System::nanoTime);
    try (var rounds =
        new LimitRounds(
            () -> {
              opened.incrementAndGet();
              return DriverManager.getConnection(url);
            },
            rates,
            new GrantBudgets(System::nanoTime))) {
      Thread.sleep(2500);
      assertThat(opened).hasValue(0);
      assertThat(rates.size()).isZero();
    }
    assertThat(opened).hasValue(0);
  }

  @Test
  void manyGrants_ofTwoReplicas_shareEachLimitWithoutStandingInEachOthersWay() throws Exception {
    int grants = 300;
    int limit = 20;
    List<Replica> two = List.of(replica(), replica());
    int[] taken = new int[grants];
    long begun = System.nanoTime();
    try (ExecutorService clients = Executors.newFixedThreadPool(4)) {
      for (int i = 0; i < 4; i++) {
        Replica at = two.get(i % 2);
        // Two go forwards and two backwards, so that batches would lock crosswise if they could.
        boolean backwards = i >= 2;
        clients.execute(() -> {
          for (int round = 0; round < 40; round++) {
            for (int g = 0; g < grants; g++) {
              int chosen = backwards ? grants - 1 - g : g;
              if (at.rates.take(grant + "-" + chosen, limit) == Answer.TAKEN) {
                synchronized (taken) {
                  taken[chosen]++;
                }
              }
            }
            sleep(25);
          }
        });
      }
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    double exact = limit + seconds * limit / 60;
    var all = Arrays.stream(taken).summaryStatistics();
    System.out.printf(
        "%d grants of %d per minute, 2 replicas, %.1f s: %d to %d taken of each, exact would be %.1f%n",
        grants, limit, seconds, all.getMin(), all.getMax(), exact);
    assertThat((double) all.getMax()).isLessThanOrEqualTo(exact + GrantRates.portion(limit));
    assertThat((double) all.getMin()).isGreaterThanOrEqualTo(limit - GrantRates.portion(limit));
  }

  @Test
  void connectionsThatBreak_letNotMoreThrough() throws Exception {
    int limit = 600;
    Replica replica = replica();
    long begun = System.nanoTime();
    int taken = 0;
    for (int i = 0; i < 3000; i++) {
      taken += replica.rates.take(grant, limit) == Answer.TAKEN ? 1 : 0;
      if (i % 200 == 0) {
        execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                + " AND datname = current_database() AND query LIKE '%grant_rate_take%'");
      }
      Thread.sleep(1);
    }
    double exact = limit + (System.nanoTime() - begun) / 60e9 * limit;
    System.out.printf("connection cut 15 times: %d taken, exact would be %.1f%n", taken, exact);
    assertThat((double) taken).isBetween(limit / 4.0, exact + GrantRates.portion(limit));
    await().atMost(Duration.ofSeconds(5)).until(() -> used() > 0);
  }

  @Test
  void clockOfTheDatabaseThatIsPutBack_doesNotHoldTheLimitUp() throws Exception {
    Replica replica = replica();
    assertThat(drain(replica, 6000)).isGreaterThan(5000);
    execute(
        "UPDATE grant_rate SET at = at + interval '1 hour' WHERE grant_name = '%s'"
            .formatted(grant));

    await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> replica.rates.take(grant, 6000) == Answer.TAKEN);
    assertThat(used()).isGreaterThan(4000);
  }
}
