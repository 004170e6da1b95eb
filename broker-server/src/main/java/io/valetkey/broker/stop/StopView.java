package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopRestore.Knowledge;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import org.jspecify.annotations.Nullable;

/**
 * This replica's view of all stops. It is pushed by notifications, polled as a net, and refuses to
 * answer once it is older than its bound. The epoch only grows: a database that has forgotten what
 * this replica has seen (an old backup restored) is not believed, but told.
 */
public final class StopView implements ChangeFeed.Subscriber, Stops {

  private static final String CHANGED =
      "SELECT "
          + StopRows.COLUMNS
          + """
           FROM stop
          WHERE (epoch > ? OR ended_epoch > ?)
            AND (ended_at IS NULL OR ended_at > now() - interval '2 hours')
            AND (target_kind <> 'token' OR created_at > now() - interval '2 hours')
          ORDER BY epoch
          """;

  private static final String CURRENT =
      """
      SELECT epoch, mark, EXISTS (SELECT FROM stop_mark WHERE mark = ?::uuid) AS holds,
             EXISTS (SELECT FROM stop WHERE ended_at IS NULL AND expires_at <= now()) AS overdue
      FROM stop_epoch
      """;

  private final StopStore store;
  private final StopRestore restore;
  private final Duration staleness;
  private final KnownStops known = new KnownStops();
  private final List<StopChange.Listener> listeners = new CopyOnWriteArrayList<>();
  private volatile @Nullable ServingLease lease;

  /** Taken in, and not told to all listeners yet; of the feed's thread only. */
  private final List<StopOrder> untold = new ArrayList<>();

  private volatile @Nullable HistoryPoint seen;
  private volatile @Nullable HistoryPoint told;
  private volatile long verifiedNanos;

  /**
   * Where the database is.
   *
   * @param goesOn whether it went on from what this view has seen
   * @param overdue whether stops wait to be ended
   */
  private record Current(HistoryPoint point, boolean goesOn, boolean overdue) {}

  /**
   * Makes a view that refuses to answer until the feed called it once.
   *
   * @param staleness S: the oldest view that still answers
   */
  public StopView(StopStore store, StopRestore restore, Duration staleness) {
    this.store = store;
    this.restore = restore;
    this.staleness = staleness;
  }

  /** Calls the listener, on the feed's thread, after every change of the view. */
  public void onChange(StopChange.Listener listener) {
    listeners.add(listener);
  }

  /** From now on the view also needs this to answer. */
  void answerOnlyUnder(ServingLease condition) {
    lease = condition;
  }

  @Override
  public long epoch() {
    requireFresh();
    return seenEpoch();
  }

  @Override
  public @Nullable StopTarget stopped(
      String agent, String issuer, @Nullable String jti, long tokenEpoch) {
    requireFresh();
    return known.stopped(agent, issuer, jti, tokenEpoch);
  }

  @Override
  public @Nullable StopTarget stoppedDestination(String destination, long tokenEpoch) {
    requireFresh();
    return known.check(StopTarget.Kind.DESTINATION, destination, tokenEpoch);
  }

  @Override
  public boolean isKnownToBeStopped(
      String agent, String issuer, String jti, long tokenEpoch, String destination) {
    return known.stopped(agent, issuer, jti, tokenEpoch) != null
        || known.check(StopTarget.Kind.DESTINATION, destination, tokenEpoch) != null;
  }

  @Override
  public boolean isFresh() {
    if (seen == null) {
      return false;
    }
    long read = verifiedNanos;
    long now = System.nanoTime();
    ServingLease condition = lease;
    return now - read <= staleness.toNanos() && (condition == null || condition.covers(read, now));
  }

  private void requireFresh() {
    if (!isFresh()) {
      throw new RefusedException(
          ProblemCode.STOPS_STALE,
          "The view of stops is older than " + staleness.toMillis() + " ms");
    }
  }

  /** How old the view is, in milliseconds; {@link Long#MAX_VALUE} before the first complete one. */
  public long ageMillis() {
    return seen != null ? (System.nanoTime() - verifiedNanos) / 1_000_000 : Long.MAX_VALUE;
  }

  /** The highest epoch this view has seen, however old the view is; 0 before the first one. */
  public long seenEpoch() {
    HistoryPoint point = seen;
    return point == null ? 0 : point.epoch();
  }

  /** The place in the history of stops that this view has seen. */
  @Nullable HistoryPoint seen() {
    return seen;
  }

  /** Every stop that matters at that place. */
  Collection<StopOrder> known() {
    return known.all();
  }

  /** The highest epoch that this replica has acted upon: what it ends has ended here. */
  long actedEpoch() {
    HistoryPoint point = told;
    return point == null ? 0 : point.epoch();
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    long begun = System.nanoTime();
    HistoryPoint before = seen;
    Current read = read(connection, before);
    boolean forgotten = !read.goesOn();
    if (before != null && forgotten) {
      // Believing it would bring stopped agents back. Until it has taken them the view ages.
      var _ = restore.putBack(new Knowledge(before, known.all(), true, "replica"));
    } else if (read.overdue()) {
      store.endExpired();
    }
    HistoryPoint current = read.point();
    if (forgotten || read.overdue()) {
      current = readAgain(connection, before);
    }
    if (!current.equals(before)) {
      untold.addAll(load(connection, before == null || forgotten ? 0 : before.epoch()));
      seen = current;
    }
    // Before the listeners, who ask this view.
    verifiedNanos = begun;
    tell(current);
  }

  /** What one listener failed to do is done at the next call: nobody is told that it was. */
  private void tell(HistoryPoint current) {
    if (!current.equals(told)) {
      var change = new StopChange(untold);
      listeners.forEach(listener -> listener.changed(change));
      untold.clear();
      told = current;
    }
  }

  private static HistoryPoint readAgain(Connection connection, @Nullable HistoryPoint before)
      throws SQLException {
    Current again = read(connection, before);
    if (!again.goesOn()) {
      throw new SQLException("the database was replaced while it was read");
    }
    return again.point();
  }

  /** In one statement, so that what it answers is of one moment. */
  private static Current read(Connection connection, @Nullable HistoryPoint before)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(CURRENT)) {
      statement.setObject(1, before == null ? null : before.mark());
      try (ResultSet rows = statement.executeQuery()) {
        if (!rows.next()) {
          throw new SQLException("the stop epoch is missing");
        }
        var point = new HistoryPoint(rows.getLong("epoch"), rows.getObject("mark", UUID.class));
        boolean goesOn =
            before == null || (rows.getBoolean("holds") && point.epoch() >= before.epoch());
        return new Current(point, goesOn, rows.getBoolean("overdue"));
      }
    }
  }

  private List<StopOrder> load(Connection connection, long since) throws SQLException {
    List<StopOrder> changed = new ArrayList<>();
    try (PreparedStatement statement = connection.prepareStatement(CHANGED)) {
      statement.setLong(1, since);
      statement.setLong(2, since);
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          changed.add(StopRows.read(rows));
        }
      }
    }
    changed.forEach(known::apply);
    known.forgetWhatIsOver();
    return changed;
  }
}
