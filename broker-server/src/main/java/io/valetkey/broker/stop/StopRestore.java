package io.valetkey.broker.stop;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
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
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
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
      long current = lockEpoch(connection);
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
      if (insert(connection, stop, next + 1)) {
        next++;
        missing.add(stop.id().toString());
      }
    }
    for (UUID id : orderedSince(connection, known)) {
      renumber(connection, id, ++next);
    }
    if (!known.complete()) {
      insert(connection, everyTokenUpTo(++next), next);
    }
    // The last of them, so that every replica reads them as news.
    setEpoch(connection, next);
    adopt(connection, known.point());
    TransactionalAudit.record(connection, record(known, current, next, missing));
    try (var notify = connection.createStatement()) {
      notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
    }
    log.warn("{} stops were put back; the epoch is {} now", missing.size(), next);
  }

  private static long lockEpoch(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement("SELECT epoch FROM stop_epoch FOR UPDATE");
        ResultSet rows = statement.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the stop epoch is missing");
      }
      return rows.getLong(1);
    }
  }

  private static boolean insert(Connection connection, StopOrder stop, long epoch)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            INSERT INTO stop (id, epoch, target_kind, target, reason, created_at, created_by,
                              expires_at, ended_epoch, ended_at, ended_by, end_reason)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """)) {
      statement.setObject(1, stop.id());
      statement.setLong(2, epoch);
      statement.setString(3, stop.target().kind().word());
      statement.setString(4, stop.target().value());
      statement.setString(5, stop.reason());
      statement.setObject(6, stop.createdAt().atOffset(ZoneOffset.UTC));
      statement.setString(7, stop.createdBy());
      setTime(statement, 8, stop.expiresAt());
      statement.setObject(9, stop.endedAt() == null ? null : epoch);
      setTime(statement, 10, stop.endedAt());
      statement.setString(11, stop.endedBy());
      statement.setString(12, stop.endReason());
      return statement.executeUpdate() == 1;
    }
  }

  private static void setTime(PreparedStatement statement, int index, @Nullable Instant time)
      throws SQLException {
    statement.setObject(index, time == null ? null : time.atOffset(ZoneOffset.UTC));
  }

  /** Stops of numbers that were used before, which nobody knew who knew everything up to there. */
  private static List<UUID> orderedSince(Connection connection, Knowledge known)
      throws SQLException {
    UUID[] ids = known.stops().stream().map(StopOrder::id).toArray(UUID[]::new);
    List<UUID> since = new ArrayList<>();
    try (PreparedStatement statement =
        connection.prepareStatement(
            """
            SELECT id FROM stop
            WHERE (ended_at IS NULL OR ended_at > now() - interval '2 hours') AND epoch <= ?
              AND id <> ALL (?) ORDER BY epoch
            """)) {
      statement.setLong(1, known.point().epoch());
      statement.setArray(2, connection.createArrayOf("uuid", ids));
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          since.add(rows.getObject(1, UUID.class));
        }
      }
    }
    return since;
  }

  private static void renumber(Connection connection, UUID id, long epoch) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "UPDATE stop SET epoch = ?, ended_epoch = CASE WHEN ended_epoch IS NULL THEN NULL ELSE"
                + " ?::bigint END WHERE id = ?")) {
      statement.setLong(1, epoch);
      statement.setLong(2, epoch);
      statement.setObject(3, id);
      statement.execute();
    }
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

  private static void setEpoch(Connection connection, long epoch) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("UPDATE stop_epoch SET epoch = ?")) {
      statement.setLong(1, epoch);
      statement.execute();
    }
  }

  /** From here on the database holds what came before this place too. */
  private static void adopt(Connection connection, HistoryPoint point) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO stop_mark (mark, epoch) VALUES (?, ?) ON CONFLICT DO NOTHING")) {
      statement.setObject(1, point.mark());
      statement.setLong(2, point.epoch());
      statement.execute();
    }
  }

  private AuditRecord record(Knowledge known, long current, long now, List<String> missing) {
    Instant time = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    return new AuditRecord(
        time,
        DecisionId.at(time),
        "stop.restore",
        Outcome.GRANTED,
        null,
        null,
        null,
        null,
        null,
        null,
        null,
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
