package io.valetkey.broker.evidence;

import io.valetkey.broker.evidence.Checkpoint.Dropped;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Drops days that are older than the retention, in the transaction of the checkpoint that says so.
 * Waits for every sink of this installation that has not been told yet.
 */
public final class Retention {

  private static final Logger log = LoggerFactory.getLogger(Retention.class);

  /**
   * The last checkpoint all of whose seals speak only of records before the cut; not too many seals
   * at a time.
   */
  private static final String LAST_TO_GO =
      """
      SELECT number, upto, jws FROM audit_checkpoint
      WHERE upto < coalesce((SELECT min(position) FROM audit_seal WHERE last_time >= ?), 0)
        AND upto <= (SELECT min(position) FROM audit_seal) + 50000
        AND upto <= coalesce((SELECT min(position) FROM audit_sink WHERE name = ANY (?)), upto)
      ORDER BY number DESC LIMIT 1
      """;

  private final Duration keep;
  private final List<String> sinks;

  /**
   * @param keep how long records are kept at least
   * @param sinks the names of the sinks that are waited for
   */
  public Retention(Duration keep, List<String> sinks) {
    this.keep = keep;
    this.sinks = List.copyOf(sinks);
  }

  /** Drops what may go; answers what is gone in all. */
  @Nullable Dropped drop(Connection connection, Instant now, @Nullable Dropped before)
      throws SQLException {
    Instant cut = now.minus(keep).truncatedTo(ChronoUnit.DAYS);
    Dropped next = next(connection, cut);
    if (next == null) {
      return before;
    }
    Savepoint unchanged = connection.setSavepoint();
    try (var statement = connection.prepareStatement("SELECT audit_drop_before(?, ?, ?)")) {
      statement.setObject(1, EvidenceStore.utc(cut));
      statement.setLong(2, next.upto());
      statement.setLong(3, next.checkpoint());
      statement.execute();
      log.info("Audit records from before {} were dropped", cut);
      return next;
    } catch (SQLException e) {
      connection.rollback(unchanged);
      log.warn("Old audit records have to stay for now: {}", e.getMessage());
      return before;
    }
  }

  private @Nullable Dropped next(Connection connection, Instant cut) throws SQLException {
    try (var statement = connection.prepareStatement(LAST_TO_GO)) {
      statement.setObject(1, EvidenceStore.utc(cut));
      statement.setArray(2, connection.createArrayOf("text", sinks.toArray()));
      try (ResultSet row = statement.executeQuery()) {
        if (!row.next()) {
          return null;
        }
        String hash = new SignedCheckpoint(row.getString(3)).hash();
        return new Dropped(cut, row.getLong(2), row.getLong(1), hash);
      }
    }
  }
}
