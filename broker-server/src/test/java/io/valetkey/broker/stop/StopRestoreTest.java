package io.valetkey.broker.stop;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Views that have seen more than the database holds now. Invariants: S2, S3. */
class StopRestoreTest {

  private static RunningBroker broker;
  private static StopStore store;
  private static StopRestore restore;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    store = broker.bean(StopStore.class);
    restore = broker.bean(StopRestore.class);
    // From here on only the views of the tests are there.
    broker.bean(io.valetkey.broker.feed.ChangeFeed.class).close();
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @BeforeEach
  void backUp() throws Exception {
    sql(
        "DROP TABLE IF EXISTS b_stop, b_mark, b_epoch",
        "CREATE TABLE b_stop AS SELECT * FROM stop",
        "CREATE TABLE b_mark AS SELECT * FROM stop_mark",
        "CREATE TABLE b_epoch AS SELECT * FROM stop_epoch");
  }

  /** As a restored backup leaves it. */
  private static void goBack() throws Exception {
    sql(
        "DELETE FROM stop",
        "INSERT INTO stop SELECT * FROM b_stop",
        "ALTER TABLE stop_epoch DISABLE TRIGGER ALL",
        "UPDATE stop_epoch SET (epoch, mark) = (SELECT epoch, mark FROM b_epoch)",
        "ALTER TABLE stop_epoch ENABLE TRIGGER ALL",
        "DELETE FROM stop_mark",
        "INSERT INTO stop_mark SELECT * FROM b_mark");
  }

  private static void sql(String... statements) throws Exception {
    try (Connection connection = broker.database();
        var statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  private static long number(String query) throws Exception {
    try (Connection connection = broker.database();
        var rows = connection.createStatement().executeQuery(query)) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private static StopView view() throws SQLException {
    var view = new StopView(store, restore, Duration.ofMinutes(1));
    catchUp(view);
    return view;
  }

  private static void catchUp(StopView view) throws SQLException {
    try (Connection connection = broker.database()) {
      view.catchUp(connection);
    }
  }

  private static StopOrder order(String agent) {
    var record = broker.bean(AuditLog.class).open("stop.create").completed(Outcome.GRANTED, null);
    return store.order(
        new StopTarget(StopTarget.Kind.AGENT, agent), "a test", null, "test", record);
  }

  private static void lift(StopOrder stop) {
    var record = broker.bean(AuditLog.class).open("stop.lift").completed(Outcome.GRANTED, null);
    store.lift(stop.id(), "a test", "test", record).orElseThrow();
  }

  private static boolean dead(StopView view, String agent, long tokenEpoch) {
    return view.stopped(agent, "i", "jti", tokenEpoch) != null;
  }

  @Test
  void forgottenStops_arePutBack_liftedOnesWithTheirCutOff() throws Exception {
    StopView running = view();
    long before = running.epoch();
    StopOrder inForce = order("gone-1");
    StopOrder lifted = order("gone-2");
    lift(lifted);
    catchUp(running);
    long seen = running.epoch();
    goBack();
    assertThat(dead(view(), "gone-1", before)).as("the backup knows of nothing").isFalse();

    catchUp(running);

    StopView restarted = view();
    assertThat(restarted.epoch()).isGreaterThan(seen).isEqualTo(running.epoch());
    for (StopView view : List.of(running, restarted)) {
      assertThat(dead(view, "gone-1", Long.MAX_VALUE)).isTrue();
      assertThat(dead(view, "gone-2", before)).isTrue();
      assertThat(dead(view, "gone-2", seen)).as("no later than that").isTrue();
      assertThat(dead(view, "gone-2", Long.MAX_VALUE)).as("new ones are allowed").isFalse();
    }
    assertThat(store.find(inForce.id()).orElseThrow().state()).isEqualTo("active");
    assertThat(store.find(lifted.id()).orElseThrow().state()).isEqualTo("lifted");
    assertThat(
            number(
                "SELECT count(*) FROM audit_record WHERE action = 'stop.restore' AND"
                    + " (details->>'restored')::int = 2 AND details->'stops' ? '"
                    + inForce.id()
                    + "'"))
        .isOne();
  }

  @Test
  void stopOrderedOnTheBackup_alsoEndsTokensOfTheLostNumbers() throws Exception {
    StopView running = view();
    for (int i = 0; i < 5; i++) {
      lift(order("filler-" + i));
    }
    catchUp(running);
    // A token of an agent that nobody has stopped yet, from the future that is lost.
    long lost = running.epoch();
    goBack();
    StopOrder since = order("since");
    assertThat(since.epoch()).isLessThan(lost);

    catchUp(running);
    lift(store.find(since.id()).orElseThrow());
    catchUp(running);

    assertThat(dead(running, "since", lost)).isTrue();
    assertThat(dead(view(), "since", lost)).isTrue();
    assertThat(dead(running, "since", Long.MAX_VALUE)).isFalse();
  }

  @Test
  void backupThatHasOvertakenTheEpoch_isNoticedAllTheSame() throws Exception {
    StopView running = view();
    order("overtaken");
    catchUp(running);
    long seen = running.epoch();
    goBack();
    for (int i = 0; number("SELECT epoch FROM stop_epoch") <= seen; i++) {
      order("more-" + i);
    }

    catchUp(running);

    assertThat(dead(view(), "overtaken", Long.MAX_VALUE)).isTrue();
    assertThat(dead(running, "more-0", Long.MAX_VALUE)).isTrue();
  }

  @Test
  void manyReplicasAtOnce_whoHaveSeenDifferentParts_putEverythingBackOnce() throws Exception {
    List<StopView> running = new ArrayList<>();
    List<StopOrder> orders = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      orders.add(order("part-" + i));
      running.add(view());
    }
    long records = number("SELECT count(*) FROM audit_record WHERE action = 'stop.restore'");
    goBack();

    try (var threads = Executors.newFixedThreadPool(running.size())) {
      List<Future<?>> all = new ArrayList<>();
      for (StopView view : running) {
        all.add(
            threads.submit(() -> {
              catchUp(view);
              return null;
            }));
      }
      for (Future<?> done : all) {
        done.get();
      }
    }

    for (StopOrder stop : orders) {
      assertThat(dead(view(), stop.target().value(), Long.MAX_VALUE)).isTrue();
      assertThat(number("SELECT count(*) FROM stop WHERE target = '" + stop.target().value() + "'"))
          .isOne();
    }
    assertThat(number("SELECT count(*) FROM stop WHERE target LIKE 'part-%'")).isEqualTo(8);
    assertThat(number("SELECT count(*) FROM audit_record WHERE action = 'stop.restore'"))
        .isBetween(records + 1, records + 8);
    for (StopView view : running) {
      catchUp(view);
    }
    assertThat(running.stream().map(StopView::epoch).distinct()).hasSize(1);
  }

  @Test
  void liftThatWasForgotten_isNotRepeated() throws Exception {
    StopOrder stop = order("still");
    backUp();
    lift(stop);
    StopView running = view();
    goBack();

    catchUp(running);

    assertThat(dead(running, "still", Long.MAX_VALUE)).isTrue();
    assertThat(dead(view(), "still", Long.MAX_VALUE)).isTrue();
  }
}
