package io.valetkey.broker.stop;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.stop.CausedStops.Outcome;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Of each cause one stop is in force at most. Invariant: F3. */
class CausedStopsTest {

  private static RunningBroker broker;
  private static RunningBroker other;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    other = broker.replica(Map.of());
  }

  @AfterAll
  static void end() {
    other.close();
    broker.close();
  }

  private static AuditRecord record() {
    Instant now = Instant.now().truncatedTo(ChronoUnit.MILLIS);
    return new AuditRecord(
        now,
        DecisionId.at(now),
        "stop.create",
        AuditRecord.Outcome.GRANTED,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
        Map.of());
  }

  private static Outcome order(RunningBroker at, String cause, @Nullable Instant end) {
    var target = new StopTarget(StopTarget.Kind.AGENT, "bot");
    return new CausedStops(at.bean(StopStore.class))
        .order(cause, target, "seen", end, "a sensor", record());
  }

  @Test
  void order_whenAskedManyTimesOnTwoReplicas_makesOneStop() throws Exception {
    List<Callable<Outcome>> orders = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      RunningBroker at = i % 2 == 0 ? broker : other;
      orders.add(() -> order(at, "many", null));
    }
    List<Outcome> outcomes = new ArrayList<>();
    try (var pool = Executors.newFixedThreadPool(16)) {
      for (var done : pool.invokeAll(orders)) {
        outcomes.add(done.get());
      }
    }

    assertThat(outcomes).filteredOn(Outcome::ordered).hasSize(1);
    assertThat(outcomes).extracting(Outcome::id).containsOnly(outcomes.getFirst().id());
    assertThat(order(broker, "another", null).ordered()).isTrue();
  }

  @Test
  void order_whenTheStopWasLiftedOrIsOver_makesANewOne() throws Exception {
    Outcome first = order(broker, "again", null);
    broker.bean(StopStore.class).lift(first.id(), "it was nothing", "alice", record());

    Outcome second = order(broker, "again", Instant.now().plus(Duration.ofMillis(300)));
    assertThat(second.ordered()).isTrue();
    Thread.sleep(400);
    Outcome third = order(broker, "again", null);

    assertThat(third.ordered()).isTrue();
    assertThat(broker.bean(StopStore.class).find(second.id()).orElseThrow().state())
        .isEqualTo("expired");
  }
}
