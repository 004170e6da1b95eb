package io.valetkey.broker.stop;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Puts stops back into a database that has forgotten them, because it was replaced by an older one.
 * Nothing is ever lifted by it, and no token that was dead comes back to life:
 *
 * <ul>
 *   <li>What was known and is missing is inserted. What was known to be lifted and is in force
 *       again stays in force.
 *   <li>The epoch rises above everything that anybody can have seen, and everything that is put
 *       back gets an epoch above that.
 *   <li>So do stops that were ordered since the replacement: their numbers were used before, by
 *       tokens that are older than they.
 * </ul>
 *
 * Any number of replicas may do it at once: the epoch row orders them, and the next finds nothing
 * missing.
 */
public final class StopRestore {

  private static final Logger log = LoggerFactory.getLogger(StopRestore.class);

  /** More stops than anybody orders between what one replica has seen and what another has. */
  private static final long GAP = 1_000_000;

  private static final int LISTED = 100;
  private static final String BY = "restore";

  private final Connections connections;
  private final Clock clock;

  /**
   * What somebody knows that the database may have forgotten.
   *
   * @param point the place in the history up to which it is known
   * @param stops the stops
   * @param complete whether they are all that matter: in force, of single tokens, or ended while a
   *     token from before may still live. If not, every token from before is ended instead
   * @param source who knows, for the audit trail
   */
  record Knowledge(
      HistoryPoint point, Collection<StopOrder> stops, boolean complete, String source) {}

  /** Restores over connections of its own. */
  public StopRestore(Connections connections, Clock clock) {
    this.connections = connections;
    this.clock = clock;
  }

  /**
   * Whether the database went on from this place.
   *
   * @throws SQLException if it did not answer
   */
  static boolean holds(Connection connection, HistoryPoint point) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT epoch >= ? AND EXISTS (SELECT FROM stop_mark WHERE mark = ?) FROM stop_epoch")) {
      statement.setLong(1, point.epoch());
      statement.setObject(2, point.mark());
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() && rows.getBoolean(1);
      }
    }
  }

  /**
   * Puts back what is missing, with a record in the audit trail, unless the database went on from
   * there.
   *
   * @return whether the database had forgotten something
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     take it
   */
  boolean putBack(Knowledge known) {
    try (Connection connection = connections.open()) {
      if (holds(connection, known.point())) {
        return false;
      }
      connection.setAutoCommit(false);
      long current = RestoreRows.lockEpoch(connection);
      if (holds(connection, known.point())) {
        connection.rollback();
        return false;
      }
      log.warn(
          "The database holds stops up to epoch {} and has forgotten epoch {}, which the {} has seen:"
              + " it was replaced by an older one. Stops are put back",
          current,
          known.point().epoch(),
          known.source());
      restore(connection, known, current);
      connection.commit();
      return true;
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE,
          "The database did not take the stops back: " + e.getSQLState());
    }
  }

  private void restore(Connection connection, Knowledge known, long current) throws SQLException {
    long next = Math.max(current, known.point().epoch()) + GAP;
    List<String> missing = new ArrayList<>();
    List<StopOrder> inOrder =
        known.stops().stream().sorted(Comparator.comparingLong(StopOrder::epoch)).toList();
    for (StopOrder stop : inOrder) {
      if (RestoreRows.insert(connection, stop, next + 1)) {
        next++;
        missing.add(stop.id().toString());
      }
    }
    for (UUID id : RestoreRows.orderedSince(connection, known)) {
      RestoreRows.renumber(connection, id, ++next);
    }
    if (!known.complete()) {
      RestoreRows.insert(connection, everyTokenUpTo(++next), next);
    }
    // The last of them, so that every replica reads them as news.
    RestoreRows.setEpoch(connection, next);
    RestoreRows.adopt(connection, known.point());
    TransactionalAudit.record(connection, record(known, current, next, missing));
    try (var notify = connection.createStatement()) {
      notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
    }
    log.warn("{} stops were put back; the epoch is {} now", missing.size(), next);
  }

  /** A stop of everything that is over at once: it leaves nothing but its cut-off. */
  private StopOrder everyTokenUpTo(long epoch) {
    Instant now = clock.instant();
    return new StopOrder(
        UUID.randomUUID(),
        epoch,
        StopTarget.EVERYTHING,
        "Tokens from before a restored backup, of which some were stopped",
        now,
        BY,
        null,
        now,
        BY,
        "New tokens are allowed");
  }

  private AuditRecord record(Knowledge known, long current, long now, List<String> missing) {
    return AuditRecord.done(
        clock,
        "stop.restore",
        Map.of(
            "source", known.source(),
            "seen_epoch", known.point().epoch(),
            "database_epoch", current,
            "epoch", now,
            "restored", missing.size(),
            "stops", missing.subList(0, Math.min(LISTED, missing.size())),
            "tokens_ended", !known.complete()));
  }
}
