package io.valetkey.broker.stop;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Stops that machines order. A sensor that reports the same thing a thousand times orders it a
 * thousand times; of each cause one stop is in force at most, and the database sees to that.
 */
public final class CausedStops {

  private final StopStore store;

  /** Orders through this store. */
  public CausedStops(StopStore store) {
    this.store = store;
  }

  /** The time by the database's clock, which is the one that ends stops. */
  public Instant databaseTime() {
    return store.databaseTime();
  }

  /**
   * The stop that is in force after an order.
   *
   * @param id its id
   * @param ordered whether it is new
   */
  public record Outcome(UUID id, boolean ordered) {}

  /**
   * Orders a stop unless one for the same cause is in force; everything else is as for {@link
   * StopStore#order}.
   *
   * @param cause what asks for it, the same text each time
   * @throws RefusedException {@code temporarily_unavailable} if the database does not answer
   */
  public Outcome order(
      String cause,
      StopTarget target,
      String reason,
      @Nullable Instant expiresAt,
      String createdBy,
      AuditRecord record) {
    return store.inTransaction(connection -> {
      // Looked at before the epoch is touched, because raising it holds up every issuing replica;
      // and again after, because from then on no other order can come in between.
      Optional<UUID> before = inForce(connection, cause);
      if (before.isPresent()) {
        return new Outcome(before.get(), false);
      }
      long epoch = StopStore.raiseEpoch(connection);
      Optional<UUID> meanwhile = inForce(connection, cause);
      if (meanwhile.isPresent()) {
        return new Outcome(meanwhile.get(), false);
      }
      endExpired(connection, cause, epoch);
      StopOrder stop = StopStore.insert(connection, epoch, target, reason, expiresAt, createdBy);
      note(connection, cause, stop.id());
      TransactionalAudit.record(connection, record);
      return new Outcome(stop.id(), true);
    });
  }

  private static Optional<UUID> inForce(Connection connection, String cause) throws SQLException {
    return find(connection, cause, "(expires_at IS NULL OR expires_at > now())");
  }

  /** One whose time is over and that nobody has ended yet would stand in the way of the next. */
  private static void endExpired(Connection connection, String cause, long epoch)
      throws SQLException {
    Optional<UUID> over = find(connection, cause, "expires_at <= now()");
    if (over.isPresent()) {
      var _ = StopStore.end(connection, over.get(), epoch, StopStore.EXPIRY, null);
    }
  }

  private static Optional<UUID> find(Connection connection, String cause, String condition)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT id FROM stop WHERE cause = ? AND ended_at IS NULL AND " + condition)) {
      statement.setString(1, cause);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? Optional.of(rows.getObject(1, UUID.class)) : Optional.empty();
      }
    }
  }

  private static void note(Connection connection, String cause, UUID id) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("UPDATE stop SET cause = ? WHERE id = ?")) {
      statement.setString(1, cause);
      statement.setObject(2, id);
      statement.executeUpdate();
    }
  }
}
