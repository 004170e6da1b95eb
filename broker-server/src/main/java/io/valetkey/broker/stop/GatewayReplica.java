package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.UUID;

/**
 * Tells everybody which epoch this gateway has seen: at once when it changes, and every few seconds
 * as a sign of life. Subscribe it after the view, so that it reports what the view has just taken
 * in.
 */
public final class GatewayReplica implements ChangeFeed.Subscriber {

  private static final Duration SIGN_OF_LIFE = Duration.ofSeconds(3);

  private final UUID id = UUID.randomUUID();
  private final StopView view;
  private long reportedEpoch;
  private long reportedNanos;

  /** Reports for the gateway of this process. */
  public GatewayReplica(StopView view) {
    this.view = view;
  }

  @Override
  public void catchUp(Connection connection) throws SQLException {
    long epoch = view.seenEpoch();
    if (epoch == 0
        || (epoch == reportedEpoch && System.nanoTime() - reportedNanos < SIGN_OF_LIFE.toNanos())) {
      return;
    }
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO gateway_replica (id, seen_epoch) VALUES (?, ?) ON CONFLICT (id) DO UPDATE"
                + " SET seen_epoch = excluded.seen_epoch, seen_at = now()")) {
      statement.setObject(1, id);
      statement.setLong(2, epoch);
      statement.execute();
    }
    reportedEpoch = epoch;
    reportedNanos = System.nanoTime();
  }
}
