package io.valetkey.broker.evidence;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.evidence.AuditVerification.Outcome;
import io.valetkey.broker.evidence.Finding.Kind;
import io.valetkey.broker.feed.Connections;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What goes with age leaves the rest verifiable. Invariant: E6. */
class RetentionTest {

  private static final Duration KEEP = Duration.ofDays(10);

  private RunningBroker broker;
  private DatabaseOwner owner;
  private Connections connections;
  private CheckpointKey key;

  @BeforeEach
  void start() throws Exception {
    broker = RunningBroker.start(Map.of("valetkey.audit.checkpoint-interval", "1h"));
    owner = new DatabaseOwner(broker);
    connections = broker.bean(Connections.class);
    key = CheckpointKey.ofThisProcess();
    LocalDate day = LocalDate.now(ZoneOffset.UTC).minusDays(30);
    owner.sql(
        "CREATE TABLE audit_record_%s PARTITION OF audit_record FOR VALUES FROM ('%s 00:00+00') TO ('%s 00:00+00')"
            .formatted(day.toString().replace("-", ""), day, day.plusDays(1)),
        "GRANT SELECT, INSERT ON audit_record_%s TO valetkey_app"
            .formatted(day.toString().replace("-", "")),
        "UPDATE audit_sealed_since SET since = now() - interval '60 days'",
        "UPDATE audit_retention_floor SET days = 7");
    Clock then = Clock.offset(Clock.systemUTC(), Duration.ofDays(-30));
    write(then, 20);
    checkpoint(null, then);
    write(Clock.systemUTC(), 10);
    checkpoint(null);
    write(Clock.systemUTC(), 10);
  }

  @AfterEach
  void stop() {
    broker.close();
  }

  private void write(Clock clock, int records) {
    try (var log = new AuditLog(connections, clock, Duration.ofSeconds(4))) {
      for (int i = 0; i < records; i++) {
        assertThat(log.await(log.open("test.kept").granted(-1))).isEqualTo(Receipt.DURABLE);
      }
    }
  }

  private void checkpoint(Retention retention) throws SQLException {
    checkpoint(retention, Clock.systemUTC());
  }

  private void checkpoint(Retention retention, Clock clock) throws SQLException {
    try (var checkpoints = new Checkpoints(connections, key, clock, retention, null)) {
      assertThat(checkpoints.make()).isTrue();
    }
  }

  private AuditVerification verify() throws SQLException {
    return new AuditVerifier(connections, key.publicKey(), List::of, Duration.ofMinutes(1))
        .verify(null, null);
  }

  @Test
  void retention_dropsOldDaysAndTheRestStaysVerifiable() throws Exception {
    assertThat(verify().records()).isEqualTo(40);

    checkpoint(new Retention(KEEP, List.of()));

    assertThat(owner.number("SELECT count(*) FROM audit_record")).isEqualTo(20);
    assertThat(owner.number("SELECT min(number) FROM audit_checkpoint")).isEqualTo(2);
    assertThat(verify().findings()).isEmpty();
    assertThat(verify().outcome()).isEqualTo(Outcome.SOUND);
    assertThat(verify().records()).isEqualTo(20);

    owner.sql("DELETE FROM audit_record WHERE ctid = (SELECT ctid FROM audit_record LIMIT 1)");
    assertThat(verify().findings()).extracting(Finding::kind).contains(Kind.RECORD_REMOVED);
  }

  @Test
  void retention_whenTheOwnerDropsMoreThanIsSigned_isFound() throws Exception {
    checkpoint(new Retention(KEEP, List.of()));

    owner.sql(
        "DELETE FROM audit_seal WHERE position <= (SELECT upto FROM audit_checkpoint WHERE number = 2)",
        "DELETE FROM audit_checkpoint WHERE number = 2");

    assertThat(verify().findings())
        .anyMatch(f -> f.kind() == Kind.CHECKPOINT_REMOVED && f.place().equals("checkpoint 2"));
  }

  @Test
  void retention_believesNoTimesThatTheOwnerWroteIntoSeals() throws Exception {
    checkpoint(null);
    write(Clock.systemUTC(), 10);
    owner.sql(
        "UPDATE audit_seal SET first_time = now() - interval '30 days', last_time = now() - interval '30"
            + " days'");

    checkpoint(new Retention(KEEP, List.of()));

    assertThat(owner.number("SELECT min(number) FROM audit_checkpoint")).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5})
  void afterRetention_aSealThatIsCutOutOfTheTailIsMissed(int seq) throws Exception {
    checkpoint(new Retention(KEEP, List.of()));
    write(Clock.systemUTC(), 10);
    long writer = owner.number("SELECT writer FROM audit_seal ORDER BY position DESC LIMIT 1");
    assertThat(verify().findings()).isEmpty();

    String there = " WHERE writer = " + writer;
    owner.sql(
        "DELETE FROM audit_record" + there + " AND seq = " + seq,
        "DELETE FROM audit_seal" + there + " AND last_seq = " + seq);

    assertThat(verify().findings()).extracting(Finding::kind).containsExactly(Kind.CHAIN_BROKEN);
  }

  @Test
  void retention_waitsForASinkThatIsBehind() throws Exception {
    owner.sql("INSERT INTO audit_sink (name, position, checkpoint) VALUES ('webhook', 1, 0)");

    checkpoint(new Retention(KEEP, List.of("webhook")));

    assertThat(owner.number("SELECT count(*) FROM audit_record")).isEqualTo(40);
  }

  @Test
  void application_cannotDropWhatIsYoung() throws Exception {
    try (Connection application = connections.open();
        var drop = application.prepareStatement("SELECT audit_drop_before(?, 0, 0)")) {
      drop.setObject(1, Instant.now().minus(6, ChronoUnit.DAYS).atOffset(ZoneOffset.UTC));
      assertThatThrownBy(drop::execute).hasMessageContaining("this young are not dropped");
    }
    owner.sql("UPDATE audit_retention_floor SET days = 20");

    checkpoint(new Retention(KEEP, List.of()));

    assertThat(owner.number("SELECT count(*) FROM audit_record"))
        .as("the owner's floor")
        .isEqualTo(40);
  }
}
