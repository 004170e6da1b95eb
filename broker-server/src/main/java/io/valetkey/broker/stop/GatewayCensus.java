package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * Which gateways are there, and how far they are with a stop. A gateway counts until this replica
 * has seen no new report of it for that gateway's S and a margin, on its own monotonic clock: by
 * then {@link ServingLease} has made it stop serving. No wall clock takes part, and a row that
 * vanishes counts as long as one that is not renewed.
 */
public final class GatewayCensus implements ChangeFeed.Subscriber {

  /** For clocks that do not run alike, and for the cutting itself. */
  public static final Duration MARGIN = Duration.ofSeconds(2);

  private final Connections connections;
  private final Map<UUID, Sighting> seen = new HashMap<>();

  /**
   * The stamp of a report, and when this replica read it first. The stamp is compared, not read.
   * One that serves for less than no time has signed off.
   */
  private record Sighting(String stamp, long epoch, long servesMillis, long firstReadNanos) {

    boolean mayServe(long asked) {
      return servesMillis >= 0
          && asked - firstReadNanos <= MARGIN.plusMillis(servesMillis).toNanos();
    }
  }

  /**
   * How far a stop is at the gateways.
   *
   * @param acknowledged those that have it in their view, and have ended what it ends
   * @param total gateways that may still be serving
   * @param cut exchanges that were ended for it, at any gateway
   */
  public record Progress(int acknowledged, int total, long cut) {

    /** Whether no gateway is waited for any more. */
    public boolean isComplete() {
      return acknowledged == total;
    }
  }

  /** Makes a census on connections of its own. */
  public GatewayCensus(Connections connections) {
    this.connections = connections;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    var _ = read(connection);
  }

  /**
   * Takes in what the gateways have reported.
   *
   * @return the moment to judge by: before the question was sent. Were it taken later, a pause of
   *     this process would look like a silence of the gateways
   */
  private synchronized long read(Connection connection) throws SQLException {
    long asked = System.nanoTime();
    Map<UUID, Sighting> rows = new HashMap<>();
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT id, seen_at::text, seen_epoch, serves_millis FROM gateway_replica");
        ResultSet result = statement.executeQuery()) {
      // After the answer: a report that was read was written before this.
      long answered = System.nanoTime();
      while (result.next()) {
        rows.put(
            result.getObject(1, UUID.class),
            new Sighting(result.getString(2), result.getLong(3), result.getLong(4), answered));
      }
      rows.forEach((id, row) ->
          seen.merge(id, row, (old, fresh) -> old.stamp().equals(fresh.stamp()) ? old : fresh));
      forget(rows.keySet(), asked);
    }
    return asked;
  }

  /** Rows that are gone for so long that no gateway can serve by them. */
  private void forget(Set<UUID> present, long asked) {
    Set<UUID> gone = new HashSet<>(seen.keySet());
    gone.removeAll(present);
    seen.entrySet()
        .removeIf(entry -> gone.contains(entry.getKey()) && !entry.getValue().mayServe(asked));
  }

  /**
   * How far a stop is, as of now.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public Progress progress(StopOrder stop) {
    try (Connection connection = connections.open()) {
      // The rows first: a gateway has written its counts when it acknowledges.
      long asked = read(connection);
      return counted(asked, stop.epoch(), cut(connection, stop.id()));
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer: " + e.getSQLState());
    }
  }

  /** The lowest epoch that a gateway has reported which may be serving; all if there is none. */
  synchronized long lowestEpoch() {
    long now = System.nanoTime();
    return seen.values().stream()
        .filter(gateway -> gateway.mayServe(now))
        .mapToLong(Sighting::epoch)
        .min()
        .orElse(Long.MAX_VALUE);
  }

  private synchronized Progress counted(long asked, long epoch, long cut) {
    int acknowledged = 0;
    int total = 0;
    for (Sighting gateway : seen.values()) {
      if (gateway.mayServe(asked)) {
        total++;
        acknowledged += gateway.epoch() >= epoch ? 1 : 0;
      }
    }
    return new Progress(acknowledged, total, cut);
  }

  private static long cut(Connection connection, UUID stop) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT coalesce(sum(exchanges), 0) FROM stop_cut WHERE stop = ?")) {
      statement.setObject(1, stop);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getLong(1);
      }
    }
  }
}
