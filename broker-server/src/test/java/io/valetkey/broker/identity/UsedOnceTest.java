package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;

class UsedOnceTest {

  private static EmbeddedPostgres postgres;
  private final MovableClock clock = new MovableClock(TestIssuer.NOW);
  private final UsedOnce used =
      new UsedOnce(JdbcClient.create(postgres.getPostgresDatabase()), clock);

  @BeforeAll
  static void start() throws Exception {
    postgres = EmbeddedPostgres.start();
    Flyway.configure()
        .dataSource(postgres.getPostgresDatabase())
        .placeholders(Map.of("appRole", "valetkey_app"))
        .load()
        .migrate();
  }

  @AfterAll
  static void stop() throws Exception {
    postgres.close();
  }

  @Test
  void claim_isTrueOnceForEachPurposeContextAndId() {
    var end = TestIssuer.NOW.plusSeconds(60);
    assertThat(used.claim("p", "c", "1", end)).isTrue();
    assertThat(used.claim("p", "c", "1", end)).isFalse();
    assertThat(used.claim("q", "c", "1", end)).isTrue();
    assertThat(used.claim("p", "d", "1", end)).isTrue();
    assertThat(used.claim("p", "c", "2", end)).isTrue();
  }

  @Test
  void claim_whenIdIsLongOrStrange_stillWorks() {
    String id = "\u0000".repeat(10_000);
    assertThat(used.claim("strange", "c", id, TestIssuer.NOW)).isTrue();
    assertThat(used.claim("strange", "c", id, TestIssuer.NOW)).isFalse();
  }

  @Test
  void claim_whenManyRace_exactlyOneWins() throws Exception {
    AtomicInteger winners = new AtomicInteger();
    Thread[] racers = new Thread[16];
    for (int i = 0; i < racers.length; i++) {
      racers[i] =
          Thread.ofVirtual()
              .start(() -> {
                if (used.claim("race", "c", "1", TestIssuer.NOW)) {
                  winners.incrementAndGet();
                }
              });
    }
    for (Thread racer : racers) {
      racer.join();
    }
    assertThat(winners).hasValue(1);
  }

  @Test
  void purge_removesWhatEndedLongAgoAndNothingElse() {
    used.claim("purge", "c", "old", TestIssuer.NOW);
    used.claim("purge", "c", "new", TestIssuer.NOW.plusSeconds(3600));
    clock.advance(Duration.ofMinutes(11));
    assertThat(used.purge()).isPositive();
    assertThat(used.claim("purge", "c", "new", TestIssuer.NOW)).isFalse();
  }

  @Test
  void claim_whenDatabaseIsGone_saysUnavailableAndNotUsed() throws Exception {
    EmbeddedPostgres gone = EmbeddedPostgres.start();
    UsedOnce orphan = new UsedOnce(JdbcClient.create(gone.getPostgresDatabase()), clock);
    gone.close();
    assertThatThrownBy(() -> orphan.claim("p", "c", "1", TestIssuer.NOW))
        .isInstanceOfSatisfying(
            RefusedException.class,
            e -> assertThat(e.code()).isEqualTo(ProblemCode.TEMPORARILY_UNAVAILABLE));
  }
}
