package io.valetkey.broker.sink;

import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.audit.SealFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.sink.Sink.Event;
import java.io.IOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Feeds one sink, in the order of the trail, for as long as it takes. Of all replicas the one that
 * holds the sink's lock feeds it; the lock goes with its connection, so another takes over when it
 * dies. How far the sink is stands in the database and moves only after a delivery.
 */
public final class SinkFeeder implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(SinkFeeder.class);
  private static final int SEALS = 50;
  private static final int EVENTS = 500;
  private static final Duration IDLE = Duration.ofMillis(500);
  private static final Duration MEASURE = Duration.ofSeconds(1);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

  private final Connections connections;
  private final Sink sink;
  private final Thread thread;
  private volatile boolean running = true;
  private volatile long lagRecords;
  private volatile Instant oldest = Instant.MAX;
  private boolean failing;
  private long measured = System.nanoTime() - MEASURE.toNanos();
  private Duration pause = IDLE;

  /** Begins. */
  public SinkFeeder(Connections connections, Sink sink) {
    this.connections = connections;
    this.sink = sink;
    this.thread = Thread.ofPlatform().name("audit-sink-" + sink.name()).daemon().start(this::run);
  }

  /** Which sink it feeds. */
  public String sink() {
    return sink.name();
  }

  /**
   * How many records wait for the sink, of the next 10 000 batches; 0 where another replica feeds
   * it.
   */
  public long lagRecords() {
    return lagRecords;
  }

  /** How old the oldest record is that waits for the sink. */
  public double lagSeconds() {
    Instant since = oldest;
    return since.equals(Instant.MAX)
        ? 0
        : Math.max(0, Duration.between(since, Instant.now()).toMillis()) / 1000.0;
  }

  private void run() {
    while (running) {
      try (Connection connection = connections.open()) {
        if (lock(connection)) {
          feed(connection);
        }
        pause = IDLE.multipliedBy(4);
      } catch (InterruptedException e) {
        return;
      } catch (SQLException | IOException | RuntimeException | Error e) {
        if (!failing) {
          failing = true;
          log.warn("The audit sink {} has to wait: {}", sink.name(), said(e));
        }
        Duration twice = pause.multipliedBy(2);
        pause = twice.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : twice;
      }
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  /** Not the words of a library about something unforeseen: a header may be in them. */
  private static @Nullable String said(Throwable e) {
    return e instanceof SQLException || e instanceof IOException
        ? e.getMessage()
        : e.getClass().getName();
  }

  private boolean lock(Connection connection) throws SQLException {
    try (var statement =
        connection.prepareStatement("SELECT pg_try_advisory_lock(hashtextextended(?, 0))")) {
      statement.setString(1, "valetkey.audit.sink." + sink.name());
      try (var row = statement.executeQuery()) {
        boolean ours = row.next() && row.getBoolean(1);
        if (!ours) {
          lagRecords = 0;
          oldest = Instant.MAX;
        }
        return ours;
      }
    }
  }

  private record Cursor(long position, long checkpoint) {}

  /** Feeds until it fails; only the end of the process ends it otherwise. */
  private void feed(Connection connection) throws SQLException, IOException, InterruptedException {
    Cursor cursor = cursor(connection);
    var feed = new SealFeed(cursor.position(), SEALS);
    while (running) {
      // Before the sink is tried: while it is away, nothing after that is reached.
      measure(connection, cursor.position());
      Cursor next = deliver(connection, feed, cursor);
      if (next.equals(cursor)) {
        Thread.sleep(IDLE);
      } else {
        cursor = next;
        pause = IDLE;
        if (failing) {
          failing = false;
          log.info("The audit sink {} takes events again", sink.name());
        }
      }
    }
  }

  private Cursor deliver(Connection connection, SealFeed feed, Cursor from)
      throws SQLException, IOException, InterruptedException {
    Cursor cursor = from;
    List<Event> events = new ArrayList<>();
    for (Seal seal : feed.next(connection)) {
      events.addAll(TrailReader.records(connection, seal));
      cursor = new Cursor(seal.position(), cursor.checkpoint());
      if (events.size() >= EVENTS) {
        cursor = send(connection, from, cursor, events);
        from = cursor;
        events = new ArrayList<>();
      }
    }
    List<Event> checkpoints =
        TrailReader.checkpoints(connection, cursor.checkpoint(), cursor.position());
    events.addAll(checkpoints);
    if (!checkpoints.isEmpty()) {
      long last = Long.parseLong(checkpoints.getLast().id().replace("checkpoint ", ""));
      cursor = new Cursor(cursor.position(), last);
    }
    return cursor.equals(from) ? from : send(connection, from, cursor, events);
  }

  private Cursor send(Connection connection, Cursor from, Cursor to, List<Event> events)
      throws SQLException, IOException, InterruptedException {
    if (!events.isEmpty()) {
      String batch =
          from.position() + "." + from.checkpoint() + "-" + to.position() + "." + to.checkpoint();
      sink.deliver(batch, events);
    }
    try (var statement =
        connection.prepareStatement(
            "UPDATE audit_sink SET position = ?, checkpoint = ?, fed_at = now() WHERE name = ? AND"
                + " position = ? AND checkpoint = ?")) {
      statement.setLong(1, to.position());
      statement.setLong(2, to.checkpoint());
      statement.setString(3, sink.name());
      statement.setLong(4, from.position());
      statement.setLong(5, from.checkpoint());
      if (statement.executeUpdate() != 1) {
        throw new SQLException("another replica feeds the sink as well");
      }
    }
    return to;
  }

  private Cursor cursor(Connection connection) throws SQLException {
    try (var statement =
        connection.prepareStatement(
            "INSERT INTO audit_sink (name, position, checkpoint) VALUES (?, 0, 0) ON CONFLICT (name)"
                + " DO UPDATE SET fed_at = audit_sink.fed_at RETURNING position, checkpoint")) {
      statement.setString(1, sink.name());
      try (var row = statement.executeQuery()) {
        row.next();
        return new Cursor(row.getLong(1), row.getLong(2));
      }
    }
  }

  /** Looks no further than so many batches: a long backlog must not keep the sink from it. */
  private void measure(Connection connection, long position) throws SQLException {
    if (System.nanoTime() - measured < MEASURE.toNanos()) {
      return;
    }
    measured = System.nanoTime();
    try (var statement =
        connection.prepareStatement(
            "SELECT coalesce(sum(last_seq - first_seq + 1), 0), min(first_time) FROM (SELECT"
                + " first_seq, last_seq, first_time FROM audit_seal WHERE position > ? ORDER BY"
                + " position LIMIT 10000) AS waiting")) {
      statement.setLong(1, position);
      try (var row = statement.executeQuery()) {
        row.next();
        lagRecords = row.getLong(1);
        OffsetDateTime time = row.getObject(2, OffsetDateTime.class);
        oldest = time == null ? Instant.MAX : time.toInstant();
      }
    }
  }

  @Override
  public void close() {
    running = false;
    thread.interrupt();
  }
}
