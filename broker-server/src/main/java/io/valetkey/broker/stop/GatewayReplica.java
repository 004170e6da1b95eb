package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;

/**
 * This gateway's report: which epoch it has taken in and acted upon, and how many exchanges it
 * ended for which stop. It is written at once when there is news, and as a sign of life, which is
 * what {@link ServingLease} lets the gateway serve by.
 *
 * <p>Subscribe {@link #signOfLife} before the view, and this after it.
 */
public final class GatewayReplica implements ChangeFeed.Subscriber {

  private static final Duration LONGEST_SILENCE = Duration.ofSeconds(3);

  private static final String REPORT =
      """
      WITH cut AS (
        INSERT INTO stop_cut (stop, gateway, exchanges)
        SELECT s.stop, ?, s.exchanges FROM unnest(?::uuid[], ?::bigint[]) AS s(stop, exchanges)
        ON CONFLICT (stop, gateway) DO UPDATE SET exchanges = excluded.exchanges)
      INSERT INTO gateway_replica (id, seen_epoch, serves_millis) VALUES (?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET seen_epoch = excluded.seen_epoch, seen_at = clock_timestamp(),
        serves_millis = excluded.serves_millis
      """;

  private static final String SIGN_OFF =
      "UPDATE gateway_replica SET serves_millis = -1, seen_at = clock_timestamp() WHERE id = ?";

  private final UUID id = UUID.randomUUID();
  private final StopView view;
  private final ServingLease lease;
  private final CutCounts counts;
  private final Duration staleness;
  private final Duration silence;
  private long reportedEpoch = -1;
  private boolean signedOff;

  /**
   * Reports for the gateway of this process, and makes its view answer only while it does.
   *
   * @param staleness S: how long the gateway may serve after a report
   */
  public GatewayReplica(StopView view, CutCounts counts, Duration staleness) {
    this.view = view;
    this.counts = counts;
    this.staleness = staleness;
    this.lease = new ServingLease(staleness);
    Duration quarter = staleness.dividedBy(4);
    this.silence = quarter.compareTo(LONGEST_SILENCE) < 0 ? quarter : LONGEST_SILENCE;
    view.answerOnlyUnder(lease);
  }

  /** The id under which this gateway reports, until it ends. */
  public UUID id() {
    return id;
  }

  /**
   * Reports before anything is read, at the start and after a silence: a stop that was ordered
   * meanwhile did not wait for this gateway, so it must be in the next view.
   */
  public ChangeFeed.Subscriber signOfLife() {
    return connection -> {
      if (lease.isOver()) {
        report(connection);
      }
    };
  }

  /**
   * Says that this gateway serves nothing any more, so that no stop waits for it. Call it when
   * every exchange has ended; from here on its view answers nothing.
   *
   * @throws SQLException if the database does not hear it; then it is waited for as for one that
   *     died
   */
  public synchronized void signOff(Connection connection) throws SQLException {
    signedOff = true;
    lease.end();
    try (PreparedStatement statement = connection.prepareStatement(SIGN_OFF)) {
      statement.setObject(1, id);
      statement.execute();
    }
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    boolean news = view.actedEpoch() != reportedEpoch || !counts.unreported().isEmpty();
    if (news || lease.sinceReport().compareTo(silence) >= 0) {
      report(connection);
    }
  }

  /** Never after {@link #signOff}: it would be waited for again. */
  private synchronized void report(Connection connection) throws SQLException {
    if (signedOff) {
      return;
    }
    long epoch = view.actedEpoch();
    Map<UUID, Long> totals = counts.unreported();
    long sent = System.nanoTime();
    try (PreparedStatement statement = connection.prepareStatement(REPORT)) {
      UUID[] stops = totals.keySet().toArray(UUID[]::new);
      Long[] exchanges = new Long[stops.length];
      for (int i = 0; i < stops.length; i++) {
        exchanges[i] = Objects.requireNonNull(totals.get(stops[i]));
      }
      statement.setObject(1, id);
      statement.setArray(2, connection.createArrayOf("uuid", stops));
      statement.setArray(3, connection.createArrayOf("bigint", exchanges));
      statement.setObject(4, id);
      statement.setLong(5, epoch);
      statement.setLong(6, staleness.toMillis());
      statement.execute();
    }
    lease.reported(sent, System.nanoTime());
    counts.reported(totals);
    reportedEpoch = epoch;
  }
}
