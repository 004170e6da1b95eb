package io.valetkey.broker.evidence;

import io.valetkey.broker.evidence.Checkpoint.Dropped;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
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

  /** From the database's clock: that of this process may be wrong. */
  private static final String CUT =
      "SELECT date_trunc('day', now() - make_interval(secs => ?), 'UTC')";

  /**
   * The last checkpoint that was made before the cut, so that it speaks of nothing younger; not too
   * many seals at a time, and not the very last.
   */
  private static final String LAST_TO_GO =
      """
      SELECT number, made_at, upto, jws,
             (SELECT max(writer) FROM audit_seal WHERE position <= c.upto) AS writer
      FROM audit_checkpoint c
      WHERE made_at < ? AND number < (SELECT max(number) FROM audit_checkpoint)
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
  @Nullable Dropped drop(Connection connection, @Nullable Dropped before) throws SQLException {
    Instant cut = cut(connection);
    Dropped next = next(connection, cut, before);
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

  private Instant cut(Connection connection) throws SQLException {
    try (var statement = connection.prepareStatement(CUT)) {
      statement.setLong(1, keep.toSeconds());
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        return row.getObject(1, OffsetDateTime.class).toInstant();
      }
    }
  }

  /**
   * A forged row gains nothing: the checkpoint behind it is signed and names the true one. But the
   * times in seals are not signed alone, so the time that counts is the checkpoint's own.
   */
  private @Nullable Dropped next(Connection connection, Instant cut, @Nullable Dropped before)
      throws SQLException {
    try (var statement = connection.prepareStatement(LAST_TO_GO)) {
      statement.setObject(1, EvidenceStore.utc(cut));
      statement.setArray(2, connection.createArrayOf("text", sinks.toArray()));
      try (ResultSet row = statement.executeQuery()) {
        StoredCheckpoint last = row.next() ? EvidenceStore.checkpoint(row) : null;
        Checkpoint stated = last == null ? null : last.statement();
        if (last == null || stated == null || !stated.time().isBefore(cut)) {
          return null;
        }
        long writer = Math.max(row.getLong("writer"), before == null ? 0 : before.writer());
        return new Dropped(cut, last.upto(), last.number(), last.signed().hash(), writer);
      }
    }
  }
}
