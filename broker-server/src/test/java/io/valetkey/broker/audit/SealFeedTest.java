package io.valetkey.broker.audit;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.feed.Connections;
import java.sql.Connection;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Following a trail that many write to at once. Invariants: E3, E4. */
class SealFeedTest {

  private static final int WRITERS = 8;
  private static final int EACH = 60;

  private static RunningBroker broker;
  private static Connections connections;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of("valetkey.audit.checkpoint-interval", "1s"));
    connections = broker.bean(Connections.class);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @Test
  void feed_whenTransactionsCommitLateOrNever_missesNoneAndVerifiesAlways() throws Exception {
    var verifier = broker.bean(AuditVerifier.class);
    try (var pool = Executors.newVirtualThreadPerTaskExecutor();
        Connection reader = connections.open();
        var log = new AuditLog(connections, Clock.systemUTC(), Duration.ofSeconds(4))) {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < WRITERS; i++) {
        writers.add(pool.submit(() -> writeSlowly(log)));
      }
      var feed = new SealFeed(0, 7);
      List<Long> seen = new ArrayList<>();
      int verified = 0;
      while (writers.stream().anyMatch(w -> !w.isDone())) {
        feed.next(reader).forEach(seal -> seen.add(seal.position()));
        var verification = verifier.verify(null, null);
        assertThat(verification.findings()).isEmpty();
        verified++;
      }
      for (Future<?> writer : writers) {
        writer.get();
      }
      List<Seal> rest = feed.next(reader);
      while (!rest.isEmpty()) {
        rest.forEach(seal -> seen.add(seal.position()));
        rest = feed.next(reader);
      }
      assertThat(verified).isGreaterThan(3);
      assertThat(seen).isSorted().doesNotHaveDuplicates();
      assertThat(new HashSet<>(seen)).isEqualTo(positions());
      assertThat(seen.getLast()).as("some were rolled back").isGreaterThan(seen.size());
    }
  }

  private static Void writeSlowly(AuditLog log) throws Exception {
    var random = ThreadLocalRandom.current();
    try (Connection connection = connections.open()) {
      connection.setAutoCommit(false);
      for (int i = 0; i < EACH; i++) {
        var record = log.open("test.slow").completed(Outcome.GRANTED, null);
        TransactionalAudit.record(connection, record);
        Thread.sleep(random.nextInt(30));
        if (random.nextInt(5) == 0) {
          connection.rollback();
        } else {
          connection.commit();
        }
        var _ = log.await(log.open("test.quick").granted(OpenRecord.ANY_EPOCH));
      }
    }
    return null;
  }

  private static Set<Long> positions() throws Exception {
    Set<Long> positions = new HashSet<>();
    try (Connection owner = broker.database();
        var row = owner.createStatement().executeQuery("SELECT position FROM audit_seal")) {
      while (row.next()) {
        positions.add(row.getLong(1));
      }
    }
    return positions;
  }
}
