package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * This replica's view of all stops. It is pushed by notifications, polled as a net, and refuses to
 * answer once it is older than its bound. The epoch only grows: a database that went back (an old
 * backup restored) is not believed.
 */
public final class StopView implements ChangeFeed.Subscriber {

  // Two hours: an ended stop, or one of a single token, matters as long as a token from before it
  // may
  // live, and no access token lives longer than one.
  private static final String CHANGED =
      """
      SELECT id, epoch, target_kind, target, ended_at IS NOT NULL AS ended
      FROM stop
      WHERE (epoch > ? OR ended_epoch > ?)
        AND (ended_at IS NULL OR ended_at > now() - interval '2 hours')
        AND (target_kind <> 'token' OR created_at > now() - interval '2 hours')
      ORDER BY epoch
      """;

  private static final Duration REMEMBERED = Duration.ofHours(2);

  private final StopStore store;
  private final Duration staleness;
  private final Map<StopTarget, TargetState> targets = new ConcurrentHashMap<>();
  private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
  private volatile long epoch;
  private volatile long verifiedNanos;
  private volatile boolean everVerified;

  /** What is known of one target: tokens of an epoch before the cut-off are dead for good. */
  private record TargetState(long cutOff, List<UUID> inForce, long seenNanos) {

    static final TargetState NONE = new TargetState(0, List.of(), 0);

    TargetState with(UUID id, long stopEpoch, boolean ended) {
      Stream<UUID> others = inForce.stream().filter(other -> !other.equals(id));
      List<UUID> now = (ended ? others : Stream.concat(others, Stream.of(id))).toList();
      return new TargetState(Math.max(cutOff, stopEpoch), now, System.nanoTime());
    }
  }

  /**
   * Makes a view that refuses to answer until the feed called it once.
   *
   * @param staleness S: the oldest view that still answers
   */
  public StopView(StopStore store, Duration staleness) {
    this.store = store;
    this.staleness = staleness;
  }

  /** Calls the listener, on the feed's thread, after every change of the view. */
  public void onChange(Runnable listener) {
    listeners.add(listener);
  }

  /**
   * The epoch of this view, to be compared by the database when a decision becomes durable. Read it
   * before asking {@link #stopped}, never after.
   *
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  public long epoch() {
    requireFresh();
    return epoch;
  }

  /**
   * Which target is stopped for something that is being issued or used, the destination apart, if
   * any.
   *
   * @param agent the agent's name
   * @param issuer the name of the issuer of its identity
   * @param jti the access token's id, or null where none exists yet
   * @param tokenEpoch the epoch in which the access token was issued; {@link Long#MAX_VALUE} if
   *     none
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  public @Nullable StopTarget stopped(
      String agent, String issuer, @Nullable String jti, long tokenEpoch) {
    requireFresh();
    if (targets.isEmpty()) {
      return null;
    }
    StopTarget found = check(StopTarget.EVERYTHING, tokenEpoch);
    found = found != null ? found : check(StopTarget.Kind.AGENT, agent, tokenEpoch);
    found = found != null ? found : check(StopTarget.Kind.ISSUER, issuer, tokenEpoch);
    if (found == null && jti != null) {
      // A token that was stopped once stays stopped, whatever becomes of the order.
      found = check(StopTarget.Kind.TOKEN, jti, 0);
    }
    return found;
  }

  /**
   * The destination as a target, if it is stopped.
   *
   * @param tokenEpoch as for {@link #stopped}
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  public @Nullable StopTarget stoppedDestination(String destination, long tokenEpoch) {
    requireFresh();
    return check(StopTarget.Kind.DESTINATION, destination, tokenEpoch);
  }

  private @Nullable StopTarget check(StopTarget.Kind kind, String value, long tokenEpoch) {
    return check(new StopTarget(kind, value), tokenEpoch);
  }

  private @Nullable StopTarget check(StopTarget target, long tokenEpoch) {
    TargetState state = targets.get(target);
    if (state == null) {
      return null;
    }
    return !state.inForce().isEmpty() || tokenEpoch < state.cutOff() ? target : null;
  }

  private void requireFresh() {
    if (!everVerified || System.nanoTime() - verifiedNanos > staleness.toNanos()) {
      throw new RefusedException(
          ProblemCode.STOPS_STALE,
          "The view of stops is older than " + staleness.toMillis() + " ms");
    }
  }

  /** How old the view is, in milliseconds; {@link Long#MAX_VALUE} before the first complete one. */
  public long ageMillis() {
    return everVerified ? (System.nanoTime() - verifiedNanos) / 1_000_000 : Long.MAX_VALUE;
  }

  /** The highest epoch this view has seen, however old the view is; 0 before the first one. */
  public long seenEpoch() {
    return epoch;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    long begun = System.nanoTime();
    long current = readEpoch(connection);
    if (current < epoch) {
      // The database is older than what we have seen. Believing it would bring stopped agents back.
      return;
    }
    if (current > epoch || !everVerified) {
      load(connection, epoch);
      forgetEndedTokens();
      epoch = current;
      everVerified = true;
      verifiedNanos = begun;
      listeners.forEach(Runnable::run);
    }
    verifiedNanos = begun;
  }

  private long readEpoch(Connection connection) throws SQLException {
    boolean overdue;
    long current;
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT epoch, EXISTS (SELECT FROM stop WHERE ended_at IS NULL AND expires_at <="
                    + " now()) FROM stop_epoch");
        ResultSet rows = statement.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the stop epoch is missing");
      }
      current = rows.getLong(1);
      overdue = rows.getBoolean(2);
    }
    if (overdue) {
      store.endExpired();
      return readEpoch(connection);
    }
    return current;
  }

  private void load(Connection connection, long since) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(CHANGED)) {
      statement.setLong(1, since);
      statement.setLong(2, since);
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          apply(rows);
        }
      }
    }
  }

  /** A stopped token has ended by itself long before it is forgotten here. */
  private void forgetEndedTokens() {
    long now = System.nanoTime();
    targets
        .entrySet()
        .removeIf(entry ->
            entry.getKey().kind() == StopTarget.Kind.TOKEN
                && now - entry.getValue().seenNanos() > REMEMBERED.toNanos());
  }

  private void apply(ResultSet rows) throws SQLException {
    UUID id = rows.getObject("id", UUID.class);
    long stopEpoch = rows.getLong("epoch");
    boolean ended = rows.getBoolean("ended");
    String kind = rows.getString("target_kind").toUpperCase(Locale.ROOT);
    var target = new StopTarget(StopTarget.Kind.valueOf(kind), rows.getString("target"));
    targets.compute(
        target,
        (key, state) -> (state == null ? TargetState.NONE : state).with(id, stopEpoch, ended));
  }
}
