package io.valetkey.broker.stop;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord.Receipt;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Stops and their order relative to issuing, on a real database. Invariant: P2. */
class StopTest {

  private static RunningBroker broker;
  private static StopStore store;
  private static StopView view;
  private static AuditLog auditLog;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    store = broker.bean(StopStore.class);
    view = broker.bean(StopView.class);
    auditLog = broker.bean(AuditLog.class);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  static StopOrder order(StopTarget target, Instant expiresAt) {
    var record = auditLog.open("stop.create").completed(Outcome.GRANTED, null);
    return store.order(target, "a test", expiresAt, "test", record);
  }

  static void awaitEpoch(StopView replica, long epoch) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
    while (replica.seenEpoch() < epoch && System.nanoTime() < end) {
      Thread.sleep(2);
    }
    assertThat(replica.seenEpoch()).isGreaterThanOrEqualTo(epoch);
  }

  static StopTarget agent(String name) {
    return new StopTarget(StopTarget.Kind.AGENT, name);
  }

  @Test
  void stop_refusesTheTargetAndNobodyElse() throws Exception {
    StopOrder stop = order(agent("stopped-1"), null);
    awaitEpoch(view, stop.epoch());

    assertThat(view.stopped("stopped-1", "i", null, Long.MAX_VALUE)).isEqualTo(stop.target());
    assertThat(view.stopped("other", "i", null, Long.MAX_VALUE)).isNull();
  }

  @Test
  void liftedStop_allowsNewTokensAndLeavesOldOnesDead() throws Exception {
    long before = view.epoch();
    StopOrder stop = order(agent("lifted-1"), null);
    var record = auditLog.open("stop.lift").completed(Outcome.GRANTED, null);
    StopOrder lifted = store.lift(stop.id(), "it was a false alarm", "test", record).orElseThrow();
    awaitEpoch(view, stop.epoch() + 1);

    assertThat(lifted.state()).isEqualTo("lifted");
    assertThat(view.stopped("lifted-1", "i", null, Long.MAX_VALUE)).isNull();
    assertThat(view.stopped("lifted-1", "i", "jti", before)).isNotNull();
    assertThat(view.stopped("lifted-1", "i", "jti", stop.epoch() + 1)).isNull();
    assertThatThrownBy(() -> store.lift(stop.id(), "again", "test", record))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.code()).isEqualTo(ProblemCode.CONFLICT));
  }

  @Test
  void stopWithAnEnd_endsByItself() throws Exception {
    StopOrder stop = order(agent("expiring-1"), Instant.now().plusMillis(300));
    awaitEpoch(view, stop.epoch());
    assertThat(view.stopped("expiring-1", "i", null, Long.MAX_VALUE)).isNotNull();

    awaitEpoch(view, stop.epoch() + 1);

    assertThat(store.find(stop.id()).orElseThrow().state()).isEqualTo("expired");
    assertThat(view.stopped("expiring-1", "i", null, Long.MAX_VALUE)).isNull();
  }

  @Test
  void recordOfAnEarlierEpoch_isNotWritten() throws Exception {
    long epoch = view.epoch();
    order(agent("raced"), null);

    Receipt receipt = auditLog.await(auditLog.open("test.race").granted(epoch));

    assertThat(receipt).isEqualTo(Receipt.DECIDE_AGAIN);
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery("SELECT count(*) FROM audit_record WHERE action = 'test.race'")) {
      rows.next();
      assertThat(rows.getInt(1)).isZero();
    }
  }

  @Test
  void stopReachesAnotherReplica_withinASecond() throws Exception {
    try (RunningBroker replica = broker.replica(Map.of())) {
      StopView other = replica.bean(StopView.class);
      long begun = System.nanoTime();
      StopOrder stop = order(agent("everywhere"), null);
      awaitEpoch(other, stop.epoch());

      assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(Duration.ofSeconds(1));
      long end = System.nanoTime() + Duration.ofSeconds(5).toNanos();
      GatewayCensus census = broker.bean(GatewayCensus.class);
      GatewayCensus.Progress progress = census.progress(stop);
      while (progress.acknowledged() < 2 && System.nanoTime() < end) {
        Thread.sleep(10);
        progress = census.progress(stop);
      }
      assertThat(progress.acknowledged()).isGreaterThanOrEqualTo(2);
    }
  }

  @Test
  void epochThatWentBack_isNotBelieved_andTheViewGoesStale() throws Exception {
    try (RunningBroker own = RunningBroker.start(Map.of("valetkey.stop.staleness", "1s"))) {
      StopView ownView = own.bean(StopView.class);
      var record = own.bean(AuditLog.class).open("stop.create").completed(Outcome.GRANTED, null);
      StopOrder stop =
          own.bean(StopStore.class).order(agent("restored"), "a test", null, "test", record);
      awaitEpoch(ownView, stop.epoch());
      try (var connection = own.database();
          var statement = connection.createStatement()) {
        // While the stops cannot be put back either.
        statement.execute("REVOKE INSERT ON stop FROM valetkey_app");
        statement.execute("DELETE FROM stop");
        statement.execute("UPDATE stop_epoch SET epoch = 1");

        Thread.sleep(1500);

        assertThatThrownBy(ownView::epoch)
            .isInstanceOfSatisfying(
                RefusedException.class,
                e -> assertThat(e.code()).isEqualTo(ProblemCode.STOPS_STALE));
        statement.execute("GRANT INSERT ON stop TO valetkey_app");
      }
      awaitEpoch(ownView, stop.epoch() + 1);
      assertThat(ownView.stopped("restored", "i", null, Long.MAX_VALUE)).isEqualTo(stop.target());
    }
  }

  @Test
  void issuingRacesStopping_neverIsARecordDurableAfterTheStopOfItsEpoch() throws Exception {
    var running = new AtomicBoolean(true);
    var durable = new AtomicLong();
    var again = new AtomicLong();
    try (var workers = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < 16; i++) {
        workers.submit(() -> {
          while (running.get()) {
            long epoch = view.seenEpoch();
            var open = auditLog.open("test.order").detail("epoch", epoch);
            boolean written = auditLog.await(open.granted(epoch)) == Receipt.DURABLE;
            (written ? durable : again).incrementAndGet();
          }
          return null;
        });
      }
      for (int i = 0; i < 100; i++) {
        order(agent("racer-" + i), null);
        Thread.sleep(5);
      }
      running.set(false);
    }
    assertThat(durable.get()).isPositive();
    assertThat(again.get()).isPositive();
    // Commit times order the transactions: no record of an epoch may come after the stop that ended
    // it.
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    """
                    SELECT count(*) FROM audit_record r JOIN stop s
                      ON s.epoch > (r.details->>'epoch')::bigint
                    WHERE r.action = 'test.order' AND s.target LIKE 'racer-%'
                      AND pg_xact_commit_timestamp(r.xmin) > pg_xact_commit_timestamp(s.xmin)
                    """)) {
      rows.next();
      assertThat(rows.getLong(1)).isZero();
    }
  }
}
