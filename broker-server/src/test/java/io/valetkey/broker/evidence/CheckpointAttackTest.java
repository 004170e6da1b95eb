package io.valetkey.broker.evidence;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.audit.SealFeed;
import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.AuditVerification.Outcome;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import io.valetkey.broker.evidence.Finding.Kind;
import io.valetkey.broker.feed.Connections;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whoever owns the database, or has the login of one replica, and not the signing key, tries to
 * have the trail called sound all the same. Invariants: E2, E7, E9, O6.
 */
class CheckpointAttackTest {

  @TempDir Path directory;
  private RunningBroker broker;
  private DatabaseOwner owner;
  private Connections connections;
  private CheckpointKey key;
  private Checkpoints maker;

  @BeforeEach
  void write() throws Exception {
    broker = RunningBroker.start(Map.of("valetkey.audit.checkpoint-interval", "1h"));
    owner = new DatabaseOwner(broker);
    connections = broker.bean(Connections.class);
    key = CheckpointKey.read(TamperingTest.keyFile(directory.resolve("key.pem")));
    maker = maker(key, null);
    for (int i = 0; i < 3; i++) {
      writeSome();
      assertThat(maker.make()).isTrue();
    }
    assertThat(verify(null).outcome()).isEqualTo(Outcome.SOUND);
  }

  @AfterEach
  void stop() {
    maker.close();
    broker.close();
  }

  private Checkpoints maker(CheckpointKey signing, String continueFrom) {
    return new Checkpoints(connections, signing, Clock.systemUTC(), null, continueFrom);
  }

  private void writeSome() {
    try (var log = new AuditLog(connections, Clock.systemUTC(), Duration.ofSeconds(4))) {
      for (int i = 0; i < 5; i++) {
        assertThat(log.await(log.open("test.attack").granted(-1))).isEqualTo(Receipt.DURABLE);
      }
    }
  }

  private AuditVerification verify(Instant since, CheckpointRef... known) throws SQLException {
    var verifier =
        new AuditVerifier(
            connections, key.publicKey(), () -> List.of(known), Duration.ofMinutes(1));
    return verifier.verify(since, null);
  }

  private void editTheOldest() throws Exception {
    owner.sql(
        "UPDATE audit_record SET agent = 'somebody' WHERE (writer, seq) = (SELECT writer, first_seq"
            + " FROM audit_seal ORDER BY position LIMIT 1)");
  }

  /** What a process with another key would state after the last checkpoint. */
  private Checkpoint next(CheckpointKey other, Dropped dropped) throws Exception {
    return next(other, dropped, owner.number("SELECT max(upto) FROM audit_checkpoint"));
  }

  private Checkpoint next(CheckpointKey other, Dropped dropped, long upto) throws Exception {
    try (Connection owner = broker.database();
        var forger = maker(other, null)) {
      var store = new EvidenceStore(owner);
      var last = store.latest();
      Checkpoint before = last.signed().statement();
      var statement =
          new Checkpoint(
              Checkpoint.SCHEMA,
              last.number() + 1,
              Instant.now().truncatedTo(ChronoUnit.MILLIS),
              last.signed().hash(),
              before.upto(),
              upto,
              0,
              0,
              new SealDigest().finish(),
              List.of(),
              true,
              before.sealedSince(),
              dropped);
      forger.store(owner, statement);
      return statement;
    }
  }

  private void assertFound(AuditVerification verification, Kind... kinds) {
    assertThat(verification.outcome()).isEqualTo(Outcome.TAMPERED);
    assertThat(verification.findings()).extracting(Finding::kind).contains(kinds);
  }

  @ParameterizedTest
  @ValueSource(strings = {"TRUE", "number < 3", "number = 1"})
  void times_inColumnsNobodySigned_hideNothing(String which) throws Exception {
    editTheOldest();
    owner.sql("UPDATE audit_checkpoint SET made_at = '1970-01-01 00:00+00' WHERE " + which);

    assertFound(verify(null), Kind.RECORD_CHANGED, Kind.CHECKPOINT_FORGED);
  }

  @Test
  void verification_ofTheNewest_stillChecksACheckpoint() throws Exception {
    assertThat(verify(Instant.now()).checkpoints()).isPositive();

    owner.sql("UPDATE audit_checkpoint SET jws = jws || 'A'");

    assertFound(verify(Instant.now()), Kind.CHECKPOINT_FORGED);
  }

  @Test
  void beginning_isTakenFromNoUnsignedStatement() throws Exception {
    editTheOldest();
    owner.sql(
        "INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome)"
            + " VALUES (now(), 777777, 1, gen_random_uuid(), 'x', 'granted')",
        "UPDATE audit_sealed_since SET since = now() + interval '1 day'",
        "ALTER TABLE audit_checkpoint DISABLE TRIGGER USER");
    try (Connection owner = broker.database();
        var forger = maker(CheckpointKey.ofThisProcess(), null)) {
      Instant later = Instant.now().plus(1, ChronoUnit.DAYS);
      forger.store(
          owner,
          new Checkpoint(
              Checkpoint.SCHEMA,
              0,
              Instant.now(),
              null,
              0,
              0,
              0,
              0,
              "",
              List.of(),
              true,
              later,
              null));
    }

    assertFound(verify(null), Kind.RECORD_CHANGED, Kind.RECORD_INSERTED, Kind.CHECKPOINT_FORGED);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -5})
  void record_withASealAtAPlaceThatNobodyReads_isFound(long position) throws Exception {
    owner.sql(
        "INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome)"
            + " VALUES (now(), 777777, 1, gen_random_uuid(), 'x', 'granted')",
        "INSERT INTO audit_seal (position, writer, first_seq, last_seq, first_time, last_time, leaves,"
            + " hash) SELECT "
            + position
            + ", writer, 1, 1, time, time, decode(repeat('00', 32), 'hex'), decode(repeat('00', 32),"
            + " 'hex') FROM audit_record WHERE writer = 777777");

    assertFound(verify(null), Kind.RECORD_INSERTED);
  }

  @Test
  void checkpointByAnotherKey_isNotSignedOn() throws Exception {
    CheckpointRef known = verify(null).lastCheckpoint();
    long upto = owner.number("SELECT upto FROM audit_checkpoint WHERE number = 3");
    String hash = known.hash();
    next(CheckpointKey.ofThisProcess(), new Dropped(Instant.now(), upto, 3, hash, 0));
    writeSome();

    assertThatThrownBy(maker::make).hasMessageContaining("checkpoint 4 ");

    assertThat(owner.number("SELECT max(number) FROM audit_checkpoint")).isEqualTo(4);
    owner.sql(
        "DELETE FROM audit_record r USING audit_seal s WHERE s.position <= 3 AND r.writer = s.writer"
            + " AND r.seq BETWEEN s.first_seq AND s.last_seq",
        "DELETE FROM audit_seal WHERE position <= " + upto,
        "DELETE FROM audit_checkpoint WHERE number <= 3");
    assertFound(verify(null, known), Kind.CHECKPOINT_FORGED, Kind.ROLLED_BACK);
  }

  @Test
  void recordsThatOnlyAForeignCheckpointSpeaksOf_areOverdueUntilItIsRemoved() throws Exception {
    writeSome();
    next(CheckpointKey.ofThisProcess(), null, owner.number("SELECT max(position) FROM audit_seal"));
    maker.start(Duration.ofSeconds(1));

    await(() -> maker.overdueSeconds() > 2);

    owner.sql("DELETE FROM audit_checkpoint WHERE number = 4");
    await(() -> maker.overdueSeconds() == 0);
    assertThat(verify(null).outcome()).isEqualTo(Outcome.SOUND);
  }

  private static void await(Callable<Boolean> condition) throws Exception {
    for (int i = 0; i < 300 && !condition.call(); i++) {
      Thread.sleep(100);
    }
    assertThat(condition.call()).isTrue();
  }

  /** The login of one replica is enough to write these. */
  @ParameterizedTest
  @ValueSource(strings = {"x", "a.b.c", "bnVsbA.bnVsbA.AA", "e30.e30.AA", "bnVsbA.e30."})
  void rowThatIsNoCheckpoint_isFound_andNotSignedOn(String jws) throws Exception {
    writeSome();
    try (Connection application = connections.open()) {
      application
          .createStatement()
          .execute(
              "INSERT INTO audit_checkpoint SELECT 4, now(), max(position), '%s' FROM audit_seal"
                  .formatted(jws));
    }

    assertThatThrownBy(maker::make).hasMessageContaining("checkpoint 4 ");
    assertFound(verify(null), Kind.CHECKPOINT_FORGED);
  }

  @Test
  void columnsOfTheLastCheckpoint_mustBeWhatIsSigned() throws Exception {
    owner.sql("UPDATE audit_checkpoint SET upto = upto - 1 WHERE number = 3");
    writeSome();

    assertThatThrownBy(maker::make).hasMessageContaining("checkpoint 3 ");
    assertFound(verify(null), Kind.CHECKPOINT_FORGED);
  }

  @Test
  void anotherKey_goesOnOnlyFromTheCheckpointThatIsNamed() throws Exception {
    CheckpointKey former = key;
    key = CheckpointKey.read(TamperingTest.keyFile(directory.resolve("new.pem")));
    writeSome();
    CheckpointRef last = latest();
    try (var refusing = maker(key, "0".repeat(64));
        var agreeing = maker(key, last.hash())) {
      assertThatThrownBy(refusing::make).hasMessageContaining(last.hash());
      assertThat(agreeing.make()).isTrue();
    }

    assertThat(verify(null).findings()).isEmpty();
    assertThat(verify(null).outcome()).isEqualTo(Outcome.SOUND);
    assertThat(verify(null).checkpoints()).isEqualTo(4);
    next(former, null);
    assertFound(verify(null), Kind.CHECKPOINT_FORGED);
  }

  private CheckpointRef latest() throws Exception {
    try (Connection owner = broker.database()) {
      var latest = new EvidenceStore(owner).latest();
      return new CheckpointRef(latest.number(), Instant.EPOCH, latest.signed().hash());
    }
  }

  @Test
  void positionThatWasNeverDrawn_blindsNobody() throws Exception {
    owner.sql(
        "INSERT INTO audit_seal (position, writer, first_seq, last_seq, first_time, last_time, leaves,"
            + " hash) SELECT 9000000000000000000, 777777, 1, 1, now(), now(), leaves, hash FROM"
            + " audit_seal WHERE last_seq = first_seq LIMIT 1");
    writeSome();

    assertFound(verify(null), Kind.RECORD_INSERTED);
    assertThatThrownBy(maker::make).hasMessageContaining("position");
    try (Connection connection = connections.open()) {
      var feed = new SealFeed(0, 1000);
      assertThatThrownBy(() -> feed.next(connection)).hasMessageContaining("position");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "INSERT INTO audit_seal (position, writer, first_seq, last_seq, first_time, last_time, leaves,"
            + " hash) SELECT 9000000000000000000, 777777, first_seq, last_seq, first_time, last_time,"
            + " leaves, hash FROM audit_seal LIMIT 1",
        "INSERT INTO audit_checkpoint SELECT 9000000000000000000, now(), upto, 'x' FROM"
            + " audit_checkpoint LIMIT 1",
        "INSERT INTO audit_checkpoint SELECT 0, now(), upto, 'x' FROM audit_checkpoint LIMIT 1",
        "INSERT INTO audit_checkpoint VALUES (4, now(), 9000000000000000000, 'x')",
        "INSERT INTO audit_checkpoint VALUES (4, now(), 0, 'x')",
        "SELECT audit_drop_before(now() - interval '8 days', 0, 3)",
        "SELECT audit_drop_before(now() - interval '8 days', (SELECT upto FROM audit_checkpoint WHERE"
            + " number = 1), 1)",
        "UPDATE audit_retention_floor SET days = 7",
        "SELECT setval('audit_seal_position', 1)",
      })
  void replica_mayNot(String statement) throws Exception {
    try (Connection application = connections.open()) {
      assertThatThrownBy(() -> application.createStatement().execute(statement))
          .isInstanceOf(SQLException.class)
          .hasMessageMatching("(?s).*(permission denied|checkpoint|audit records).*");
    }
    assertThat(owner.number("SELECT count(*) FROM audit_checkpoint")).isEqualTo(3);
  }

  @Test
  void newestCheckpoint_isNotDropped_andNoneThatSpeaksOfMore() throws Exception {
    owner.sql(
        "UPDATE audit_retention_floor SET days = 7",
        "UPDATE audit_seal SET first_time = now() - interval '20 days', last_time = now() - interval '20 days'");
    try (Connection application = connections.open()) {
      for (String call :
          List.of(
              "SELECT audit_drop_before(now() - interval '8 days', upto, number) FROM audit_checkpoint WHERE number = 3",
              "SELECT audit_drop_before(now() - interval '8 days', 0, 2)")) {
        assertThatThrownBy(() -> application.createStatement().execute(call))
            .isInstanceOf(SQLException.class);
      }
    }
    // What lets more go is the owner's alone.
    owner.sql(
        "ALTER TABLE audit_checkpoint DISABLE TRIGGER USER",
        "INSERT INTO audit_checkpoint VALUES (9, now(), 0, 'x'), (10, now(), 0, 'x')");
    try (Connection application = connections.open()) {
      assertThatThrownBy(() ->
              application
                  .createStatement()
                  .execute("SELECT audit_drop_before(now() - interval '8 days', 0, 9)"))
          .hasMessageContaining("younger");
    }
  }
}
