package io.valetkey.broker.audit;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;

/**
 * Follows the seals in the order of their positions and misses none that is committed late.
 * Positions are drawn before the commit, so a number that is not there may still come: the feed
 * stops in front of it until every transaction that was under way when it first saw the hole has
 * ended. Whoever draws a position has a transaction id by then, so the hole is for good after that.
 * Belongs to one thread.
 */
public final class SealFeed {

  private static final String NEXT =
      """
      SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
             pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next,
             (SELECT last_value FROM audit_seal_position) AS drawn, s.*
      FROM (SELECT 1) AS one
      LEFT JOIN (SELECT * FROM audit_seal WHERE position > ? ORDER BY position LIMIT ?) AS s ON TRUE
      ORDER BY s.position
      """;

  private final int most;
  private long position;

  /** Below this position every hole is for good. */
  private long settled;

  /** What was the highest position when transactions from this one on had not begun yet. */
  private long horizon;

  private long horizonNext = Long.MAX_VALUE;

  /**
   * Follows from a position on.
   *
   * @param position of the last seal that is known already; 0 for none
   * @param most how many seals one reading gives at most
   */
  public SealFeed(long position, int most) {
    this.position = position;
    this.most = most;
  }

  /** What {@link #next} gave last. */
  public long position() {
    return position;
  }

  /**
   * The seals that follow, in order; none if nothing new can be told yet.
   *
   * @throws SQLException if the database does not answer, or if a position was never drawn, so that
   *     somebody made it up; nothing is skipped then
   */
  public List<Seal> next(Connection connection) throws SQLException {
    List<Seal> read = new ArrayList<>();
    long oldestUnderWay = 0;
    long nextTransaction = 0;
    try (var statement = connection.prepareStatement(NEXT)) {
      statement.setLong(1, position);
      statement.setInt(2, most);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          oldestUnderWay = row.getLong("oldest");
          nextTransaction = row.getLong("next");
          if (row.getObject("position") != null) {
            if (row.getLong("position") > row.getLong("drawn")) {
              throw new SQLException(
                  "the seal at position " + row.getLong("position") + " is forged");
            }
            read.add(seal(row));
          }
        }
      }
    }
    return read.isEmpty() ? read : upToTheFirstHole(read, oldestUnderWay, nextTransaction);
  }

  private List<Seal> upToTheFirstHole(List<Seal> read, long oldestUnderWay, long nextTransaction) {
    long highest = read.getLast().position();
    if (oldestUnderWay >= horizonNext) {
      settled = horizon;
      horizonNext = Long.MAX_VALUE;
    }
    if (oldestUnderWay >= nextTransaction) {
      settled = highest;
    }
    List<Seal> seals = new ArrayList<>();
    for (Seal seal : read) {
      if (seal.position() != position + 1 && seal.position() > settled) {
        if (horizonNext == Long.MAX_VALUE) {
          horizon = highest;
          horizonNext = nextTransaction;
        }
        break;
      }
      seals.add(seal);
      position = seal.position();
    }
    return seals;
  }

  /** The seal in this row of {@code audit_seal}. */
  public static Seal seal(ResultSet row) throws SQLException {
    return new Seal(
        row.getLong("position"),
        row.getLong("writer"),
        row.getLong("first_seq"),
        row.getLong("last_seq"),
        instant(row, "first_time"),
        instant(row, "last_time"),
        row.getBytes("leaves"),
        row.getBytes("hash"));
  }

  private static Instant instant(ResultSet row, String column) throws SQLException {
    return row.getObject(column, OffsetDateTime.class).toInstant();
  }
}
