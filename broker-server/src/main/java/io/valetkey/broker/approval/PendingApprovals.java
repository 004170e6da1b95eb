package io.valetkey.broker.approval;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;

/** How much waits for people, as of a few seconds ago. */
public final class PendingApprovals implements ChangeFeed.Subscriber {

  private static final Duration INTERVAL = Duration.ofSeconds(5);

  private record Count(long pending, double oldestSeconds) {}

  private volatile Count count = new Count(0, 0);
  private long nextNanos = System.nanoTime();

  /** Makes one that has not looked yet. */
  public PendingApprovals() {}

  @Override
  public void catchUp(Connection connection) throws SQLException {
    if (System.nanoTime() - nextNanos < 0) {
      return;
    }
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT count(*), coalesce(extract(epoch FROM now() - min(a.created_at)), 0) FROM"
                    + " approval a WHERE a.state = 'pending' AND approval_stands(a)");
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      count = new Count(rows.getLong(1), rows.getDouble(2));
    }
    nextNanos = System.nanoTime() + INTERVAL.toNanos();
  }

  /** How many requests wait for a decision. */
  public long pending() {
    return count.pending();
  }

  /** For how long the oldest of them has waited; 0 if there is none. */
  public double oldestSeconds() {
    return count.oldestSeconds();
  }
}
