package io.valetkey.broker.evidence;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.evidence.AuditVerification.Outcome;
import io.valetkey.broker.evidence.AuditVerification.Trust;
import io.valetkey.broker.evidence.EvidenceStore.LinkedSeal;
import io.valetkey.broker.evidence.EvidenceStore.PlacedRow;
import io.valetkey.broker.evidence.Finding.Kind;
import io.valetkey.broker.feed.Connections;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The owner of the database does what it likes, anywhere. Promise: P5. Invariants: E1, E2. */
class TamperingTest {

  private static final int ROUNDS = 12;
  private static final long SEED = System.nanoTime();
  private static final Random RANDOM = new Random(SEED);
  private static final List<String> TABLES =
      List.of("audit_record", "audit_seal", "audit_checkpoint");

  @TempDir static Path directory;
  private static RunningBroker broker;
  private static DatabaseOwner owner;
  private static Connections connections;
  private static Checkpoints checkpoints;
  private static AuditVerifier verifier;
  private static CheckpointKey key;

  private record Ref(long writer, long seq) {
    @Override
    public String toString() {
      return writer + "." + seq;
    }
  }

  @BeforeAll
  static void write() throws Exception {
    broker = RunningBroker.start(Map.of("valetkey.audit.checkpoint-interval", "1h"));
    owner = new DatabaseOwner(broker);
    connections = broker.bean(Connections.class);
    key = CheckpointKey.read(keyFile(directory.resolve("key.pem")));
    checkpoints = new Checkpoints(connections, key, Clock.systemUTC(), null, null);
    verifier =
        new AuditVerifier(
            connections, key.publicKey(), () -> List.of(checkpoints.seen()), Duration.ofMinutes(1));
    for (int round = 0; round < 4; round++) {
      writeSome();
      assertThat(checkpoints.make()).isTrue();
    }
    for (String table : TABLES) {
      owner.sql(
          "ALTER TABLE " + table + " DISABLE TRIGGER USER",
          "CREATE TABLE b_" + table + " AS SELECT * FROM " + table);
    }
  }

  /** Two writers with long chains, and some that write one record each. */
  private static void writeSome() throws Exception {
    for (int writer = 0; writer < 2; writer++) {
      try (var log = new AuditLog(connections, Clock.systemUTC(), Duration.ofSeconds(4))) {
        for (int burst = 0; burst < 4; burst++) {
          List<CompletableFuture<Receipt>> receipts = new ArrayList<>();
          for (int i = 0; i < 1 + RANDOM.nextInt(30); i++) {
            receipts.add(
                log.open("test.write")
                    .agent("agent-" + i)
                    .detail("n", i)
                    .detail(
                        "odd",
                        List.of(1.50, 1e30, -0.0, "\ud800 \u0000 ü", Map.of("b", 1, "a", true)))
                    .granted(-1));
          }
          for (var receipt : receipts) {
            assertThat(log.await(receipt)).isEqualTo(Receipt.DURABLE);
          }
        }
      }
    }
    try (var log = new AuditLog(connections, Clock.systemUTC(), Duration.ofSeconds(4));
        Connection connection = connections.open()) {
      for (int i = 0; i < 5; i++) {
        TransactionalAudit.record(
            connection,
            log.open("test.change")
                .completed(io.valetkey.broker.audit.AuditRecord.Outcome.GRANTED, null));
      }
    }
  }

  static Path keyFile(Path file) throws Exception {
    var pair = java.security.KeyPairGenerator.getInstance("Ed25519").generateKeyPair();
    var base64 = Base64.getMimeEncoder();
    Files.writeString(
        file,
        "-----BEGIN PRIVATE KEY-----\n"
            + base64.encodeToString(pair.getPrivate().getEncoded())
            + "\n-----END PRIVATE KEY-----\n-----BEGIN PUBLIC KEY-----\n"
            + base64.encodeToString(pair.getPublic().getEncoded())
            + "\n-----END PUBLIC KEY-----\n");
    return file;
  }

  @AfterAll
  static void stop() {
    checkpoints.close();
    broker.close();
  }

  @BeforeEach
  void putBack() throws Exception {
    for (String table : TABLES) {
      owner.sql("TRUNCATE " + table, "INSERT INTO " + table + " SELECT * FROM b_" + table);
    }
  }

  private static List<Ref> refs(String query) throws Exception {
    List<Ref> refs = new ArrayList<>();
    try (Connection owner = broker.database();
        var rows = owner.createStatement().executeQuery(query)) {
      while (rows.next()) {
        refs.add(new Ref(rows.getLong(1), rows.getLong(2)));
      }
    }
    return refs;
  }

  private static Ref any(String where) throws Exception {
    List<Ref> refs =
        refs(
            "SELECT r.writer, r.seq FROM audit_record r JOIN audit_seal s ON s.writer = r.writer AND"
                + " r.seq BETWEEN s.first_seq AND s.last_seq WHERE "
                + where
                + " ORDER BY 1, 2");
    return refs.get(RANDOM.nextInt(refs.size()));
  }

  private static String is(Ref ref) {
    return " WHERE writer = " + ref.writer() + " AND seq = " + ref.seq();
  }

  private enum Deed {
    EDIT(Kind.RECORD_CHANGED) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        String edit =
            List.of(
                    "outcome = 'refused'",
                    "agent = 'somebody'",
                    "agent = NULL, issuer = 'x'",
                    "details = details || '{\"n\": 99}'",
                    "decision_id = gen_random_uuid()",
                    "subject = ''",
                    "action = action || ' '")
                .get(RANDOM.nextInt(7));
        owner.sql("UPDATE audit_record SET " + edit + is(ref));
        return List.of(ref.toString());
      }
    },
    BACKDATE(Kind.RECORD_REMOVED) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        owner.sql("UPDATE audit_record SET time = time - interval '1 hour'" + is(ref));
        return List.of(ref.toString());
      }
    },
    DELETE(Kind.RECORD_REMOVED) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        owner.sql("DELETE FROM audit_record" + is(ref));
        return List.of(ref.toString());
      }
    },
    SWAP(Kind.RECORD_MOVED) {
      @Override
      List<String> todo() throws Exception {
        Ref a = any("s.last_seq > r.seq");
        Ref b = new Ref(a.writer(), a.seq() + 1);
        owner.sql(
            "UPDATE audit_record SET seq = -1" + is(a),
            "UPDATE audit_record SET seq = " + a.seq() + is(b),
            "UPDATE audit_record SET seq = " + b.seq() + is(new Ref(a.writer(), -1)));
        return List.of(a.toString(), b.toString());
      }
    },
    INSERT_BEHIND(Kind.RECORD_INSERTED) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        long seq = ref.seq() + 100_000;
        copy(ref, "writer, " + seq, "now()");
        return List.of(ref.writer() + "." + seq);
      }
    },
    INSERT_BESIDE(Kind.RECORD_INSERTED) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        copy(ref, "writer, seq", "time + interval '1 microsecond'");
        return List.of(ref.toString());
      }
    },
    INSERT_AS_A_NEW_WRITER(Kind.RECORD_INSERTED) {
      @Override
      List<String> todo() throws Exception {
        copy(any("TRUE"), "777777, 1", "time");
        return List.of("777777.1");
      }
    },
    CUT_TAIL_WITH_SEALS(Kind.TAIL_CUT) {
      @Override
      List<String> todo() throws Exception {
        Ref head = head();
        owner.sql(
            "DELETE FROM audit_record r USING audit_seal s WHERE r.writer = s.writer AND r.seq >="
                + " s.first_seq AND s.writer = "
                + head.writer()
                + " AND s.last_seq = "
                + head.seq(),
            "DELETE FROM audit_seal WHERE writer = "
                + head.writer()
                + " AND last_seq = "
                + head.seq());
        return List.of(head.toString());
      }
    },
    REMOVE_WRITER(Kind.TAIL_CUT) {
      @Override
      List<String> todo() throws Exception {
        Ref head = head();
        owner.sql(
            "DELETE FROM audit_record WHERE writer = " + head.writer(),
            "DELETE FROM audit_seal WHERE writer = " + head.writer());
        return List.of(head.toString());
      }
    },
    REWRITE_CHAIN(Kind.TRAIL_REWRITTEN) {
      @Override
      List<String> todo() throws Exception {
        Ref ref = any("TRUE");
        owner.sql("UPDATE audit_record SET agent = 'rewritten'" + is(ref));
        reseal(ref.writer());
        return refs(
                "SELECT writer, max(last_seq) FROM audit_seal WHERE writer = "
                    + ref.writer()
                    + " GROUP BY 1")
            .stream()
            .map(Ref::toString)
            .toList();
      }
    },
    REMOVE_CHECKPOINT(Kind.CHECKPOINT_REMOVED) {
      @Override
      List<String> todo() throws Exception {
        int number = 1 + RANDOM.nextInt(3);
        owner.sql("DELETE FROM audit_checkpoint WHERE number = " + number);
        return List.of("checkpoint " + number);
      }
    },
    FORGE_CHECKPOINT(Kind.CHECKPOINT_FORGED) {
      @Override
      List<String> todo() throws Exception {
        int number = 1 + RANDOM.nextInt(4);
        try (Connection owner = broker.database()) {
          Checkpoint statement = new EvidenceStore(owner).checkpoint(number).signed().statement();
          owner.createStatement().execute("DELETE FROM audit_checkpoint WHERE number = " + number);
          new Checkpoints(connections, CheckpointKey.ofThisProcess(), Clock.systemUTC(), null, null)
              .store(owner, statement);
        }
        return List.of("checkpoint " + number);
      }
    },
    ROLL_BACK(Kind.ROLLED_BACK) {
      @Override
      List<String> todo() throws Exception {
        int number = 1 + RANDOM.nextInt(3);
        owner.sql(
            "DELETE FROM audit_record r USING audit_seal s WHERE s.position > (SELECT upto FROM"
                + " audit_checkpoint WHERE number = "
                + number
                + ") AND r.writer = s.writer AND r.seq BETWEEN s.first_seq AND s.last_seq",
            "DELETE FROM audit_seal WHERE position > (SELECT upto FROM audit_checkpoint WHERE number"
                + " = "
                + number
                + ")",
            "DELETE FROM audit_checkpoint WHERE number > " + number);
        return List.of("checkpoint 4");
      }
    };

    final Kind kind;

    Deed(Kind kind) {
      this.kind = kind;
    }

    /** Does it, and says what must be named. */
    abstract List<String> todo() throws Exception;

    static void copy(Ref ref, String place, String time) throws Exception {
      owner.sql(
          "INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome, details) SELECT "
              + time
              + ", "
              + place
              + ", decision_id, action, outcome, details FROM audit_record"
              + is(ref));
    }

    /** The last record of some writer. */
    static Ref head() throws Exception {
      List<Ref> heads = refs("SELECT writer, max(last_seq) FROM audit_seal GROUP BY 1 ORDER BY 1");
      return heads.get(RANDOM.nextInt(heads.size()));
    }

    /** What whoever knows our code would do: all hashes of a writer made anew. */
    static void reseal(long writer) throws Exception {
      try (Connection owner = broker.database()) {
        byte[] previous = new byte[Seal.HASH];
        for (LinkedSeal linked : new EvidenceStore(owner).seals(0, Long.MAX_VALUE, 100_000)) {
          Seal seal = linked.seal();
          if (seal.writer() == writer) {
            byte[] leaves = new byte[seal.leaves().length];
            for (PlacedRow row :
                new EvidenceStore(owner)
                    .records(seal.position(), seal.position())
                    .get(seal.position())) {
              int at = (int) (row.seq() - seal.firstSeq()) * Seal.HASH;
              System.arraycopy(row.row().hash(writer, row.seq()), 0, leaves, at, Seal.HASH);
            }
            var anew =
                new Seal(
                    seal.position(),
                    writer,
                    seal.firstSeq(),
                    seal.lastSeq(),
                    seal.firstTime(),
                    seal.lastTime(),
                    leaves,
                    seal.hash());
            previous = anew.expectedHash(previous);
            try (var update =
                owner.prepareStatement(
                    "UPDATE audit_seal SET leaves = ?, hash = ? WHERE position = ?")) {
              update.setBytes(1, leaves);
              update.setBytes(2, previous);
              update.setLong(3, seal.position());
              update.executeUpdate();
            }
          }
        }
      }
    }
  }

  @Test
  void trail_whenNobodyTouchedIt_isSound() throws Exception {
    AuditVerification verification = verifier.verify(null, null);

    assertThat(verification.findings()).isEmpty();
    assertThat(verification.outcome()).isEqualTo(Outcome.SOUND);
    assertThat(verification.trust()).isEqualTo(Trust.CONFIGURED_KEY);
    assertThat(verification.checkpoints()).isEqualTo(4);
    assertThat(verification.records())
        .isEqualTo(refs("SELECT writer, seq FROM audit_record").size());
  }

  @ParameterizedTest
  @EnumSource
  void owner_whateverItDoes_isFoundAndTheRecordIsNamed(Deed deed) throws Exception {
    for (int round = 0; round < ROUNDS; round++) {
      putBack();
      List<String> places = deed.todo();

      AuditVerification verification = verifier.verify(null, null);

      assertThat(verification.outcome()).as("%s, seed %d", deed, SEED).isEqualTo(Outcome.TAMPERED);
      assertThat(verification.findings())
          .as("%s at %s, seed %d", deed, places, SEED)
          .filteredOn(finding -> finding.kind() == deed.kind)
          .extracting(Finding::place)
          .containsAll(places);
      if (deed == Deed.EDIT || deed == Deed.DELETE || deed == Deed.SWAP) {
        // And nobody else is accused.
        assertThat(verification.findings()).hasSameSizeAs(places);
      }
    }
  }

  @Test
  void owner_whoEmptiesTheTable_isTold() throws Exception {
    owner.sql("TRUNCATE audit_record");

    AuditVerification verification = verifier.verify(null, null);

    assertThat(verification.findings())
        .hasSize(AuditVerifier.MOST_FINDINGS)
        .allMatch(finding -> finding.kind() == Kind.RECORD_REMOVED);
  }

  @Test
  void owner_whoEmptiesEverything_isTold() throws Exception {
    owner.sql("TRUNCATE audit_record, audit_seal, audit_checkpoint");

    assertThat(verifier.verify(null, null).findings())
        .extracting(Finding::kind)
        .contains(Kind.ROLLED_BACK);
  }

  @Test
  void recordNotYetCheckpointed_isCoveredByItsChain() throws Exception {
    writeSome();
    Ref ref = any("s.position > (SELECT max(upto) FROM audit_checkpoint)");
    assertThat(verifier.verify(null, null).outcome()).isEqualTo(Outcome.SOUND);

    owner.sql("UPDATE audit_record SET agent = 'else'" + is(ref));

    assertThat(verifier.verify(null, null).findings())
        .extracting(Finding::place)
        .containsExactly(ref.toString());
  }
}
