package io.valetkey.broker.control;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.policy.PolicyDatabase;
import io.valetkey.broker.secret.SecretValue;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.springframework.jdbc.core.simple.JdbcClient;

class BootstrapTokenTest {

  private static final String TOKEN = "first-token-of-this-installation-0001";
  private static final String OTHER = "other-token-of-this-installation-0002";
  private static final Duration HOUR = Duration.ofHours(1);

  private final JdbcClient database = JdbcClient.create(PolicyDatabase.newDataSource());
  private final MovableClock clock = new MovableClock(Instant.now());

  @Test
  void accepts_theTokenUntilItsHourHasPassed() {
    BootstrapToken bootstrap = start(TOKEN);
    assertThat(bootstrap.accepts(TOKEN)).isTrue();
    assertThat(bootstrap.accepts(OTHER)).isFalse();
    assertThat(bootstrap.accepts("")).isFalse();
    clock.advance(HOUR.minusSeconds(5));
    assertThat(bootstrap.accepts(TOKEN)).isTrue();
    clock.advance(Duration.ofSeconds(10));
    assertThat(bootstrap.accepts(TOKEN)).isFalse();
  }

  @Test
  void accepts_afterTheHour_neitherTheOldNorAnotherToken() {
    start(TOKEN);
    database
        .sql("UPDATE installation SET bootstrap_ends_at = now() - interval '1 second'")
        .update();
    assertThat(start(TOKEN).accepts(TOKEN)).isFalse();
    assertThat(start(OTHER).accepts(OTHER)).isFalse();
  }

  @Test
  void restart_doesNotProlongTheHour() {
    start(TOKEN);
    database
        .sql("UPDATE installation SET bootstrap_ends_at = now() + interval '1 minute'")
        .update();
    BootstrapToken again = start(TOKEN);
    assertThat(again.accepts(TOKEN)).isTrue();
    clock.advance(Duration.ofSeconds(65));
    assertThat(again.accepts(TOKEN)).isFalse();
  }

  @Test
  void accepts_nothingOnADatabaseThatWasUsedBefore() {
    database.sql("INSERT INTO change_log (id, kind, name) VALUES (1, 'agent', 'a')").update();
    assertThat(start(TOKEN).accepts(TOKEN)).isFalse();
  }

  @Test
  void accepts_nothingWithoutASetting() {
    assertThat(start(null).accepts(TOKEN)).isFalse();
  }

  @Test
  void database_holdsNoToken() {
    start(TOKEN);
    String row =
        database.sql("SELECT installation::text FROM installation").query(String.class).single();
    assertThat(row).doesNotContain(TOKEN).contains("\\x");
  }

  private BootstrapToken start(@Nullable String token) {
    return new BootstrapToken(database, token == null ? null : SecretValue.of(token), HOUR, clock);
  }
}
