package io.valetkey.broker.policy;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;

/**
 * This replica's view of the policy: the compiled snapshot, replaced by one volatile write whenever
 * the change log has grown. It refuses to answer once it is older than its bound.
 */
public final class PolicyView implements ChangeFeed.Subscriber {

  private static final Duration PAUSE = Duration.ofMillis(5);

  private final Duration staleness;
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  private volatile PolicySnapshot snapshot = PolicySnapshot.EMPTY;
  private volatile long verifiedNanos;
  private volatile boolean everVerified;

  /**
   * Makes a view that refuses to answer until the feed called it once.
   *
   * @param staleness the oldest view that still answers
   */
  public PolicyView(Duration staleness) {
    this.staleness = staleness;
  }

  /** Calls the listener, on the feed's thread, after every change of the view. */
  public void onChange(Runnable listener) {
    listeners.add(listener);
  }

  /**
   * The policy as of now.
   *
   * @throws RefusedException {@link ProblemCode#POLICY_STALE} if the view is older than its bound
   */
  public PolicySnapshot current() {
    if (ageMillis() > staleness.toMillis()) {
      throw new RefusedException(
          ProblemCode.POLICY_STALE, "The policy is older than " + staleness.toMillis() + " ms");
    }
    return snapshot;
  }

  /**
   * The policy with at least this change in it, which is waited for.
   *
   * @param change its place in the change log
   * @throws RefusedException {@link ProblemCode#POLICY_STALE} if it is not there in time
   */
  public PolicySnapshot current(long change, Duration longest) {
    long deadline = System.nanoTime() + longest.toNanos();
    while (current().version() < change) {
      if (System.nanoTime() > deadline) {
        throw new RefusedException(
            ProblemCode.POLICY_STALE, "This replica has not taken in the last change yet");
      }
      LockSupport.parkNanos(PAUSE.toNanos());
    }
    return current();
  }

  /** How old the view is, in milliseconds; {@link Long#MAX_VALUE} before the first complete one. */
  public long ageMillis() {
    return everVerified ? (System.nanoTime() - verifiedNanos) / 1_000_000 : Long.MAX_VALUE;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    long begun = System.nanoTime();
    long latest = latestChange(connection);
    boolean changed = !everVerified || latest != snapshot.version();
    if (!everVerified || latest < snapshot.version()) {
      // The first view; or the database went back, as after a restored backup: what it holds now is
      // the
      // policy.
      snapshot = loadAll(connection);
    } else if (changed) {
      snapshot = loadChanges(connection, latest);
    }
    // Before the listeners, who ask this view.
    verifiedNanos = begun;
    everVerified = true;
    if (changed) {
      listeners.forEach(Runnable::run);
    }
  }

  private static long latestChange(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement("SELECT coalesce(max(id), 0) FROM change_log");
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private static PolicySnapshot loadAll(Connection connection) throws SQLException {
    connection.setAutoCommit(false);
    try {
      connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      long version = latestChange(connection);
      return PolicySnapshot.EMPTY.with(
          version, deltas -> unchecked(() -> SnapshotRows.readAll(connection, deltas)));
    } finally {
      connection.rollback();
      connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
      connection.setAutoCommit(true);
    }
  }

  private PolicySnapshot loadChanges(Connection connection, long latest) throws SQLException {
    long since = snapshot.version();
    return snapshot.with(
        latest,
        deltas -> unchecked(() -> SnapshotRows.readChanged(connection, since, latest, deltas)));
  }

  private interface Reading {
    void run() throws SQLException;
  }

  /**
   * A read that fails half way leaves the old snapshot in place; the feed reconnects and reads
   * again.
   */
  private static void unchecked(Reading reading) {
    try {
      reading.run();
    } catch (SQLException e) {
      throw new IllegalStateException("the policy could not be read: " + e.getMessage(), e);
    }
  }
}
