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
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Gives and ends stops. It opens a connection for each call instead of borrowing one, because a
 * stop must work when the pool is full of whatever is going wrong.
 */
public final class StopStore {

  static final String EXPIRY = "expiry";

  private final Connections connections;

  /** Makes a store on connections of its own. */
  public StopStore(Connections connections) {
    this.connections = connections;
  }

  /**
   * Orders a stop. When this returns, the order is durable and no token decided before it can still
   * be issued for the target: every such decision is made again.
   *
   * @param record what the audit trail keeps, written in the same transaction
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public StopOrder order(
      StopTarget target,
      String reason,
      @Nullable Instant expiresAt,
      String createdBy,
      AuditRecord record) {
    return inTransaction(connection -> {
      long epoch = raiseEpoch(connection);
      StopOrder stop = insert(connection, epoch, target, reason, expiresAt, createdBy);
      TransactionalAudit.record(connection, record);
      return stop;
    });
  }

  static StopOrder insert(
      Connection connection,
      long epoch,
      StopTarget target,
      String reason,
      @Nullable Instant expiresAt,
      String createdBy)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO stop (id, epoch, target_kind, target, reason, created_by, expires_at)"
                + " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING "
                + StopRows.COLUMNS)) {
      statement.setObject(1, UUID.randomUUID());
      statement.setLong(2, epoch);
      statement.setString(3, target.kind().word());
      statement.setString(4, target.value());
      statement.setString(5, reason);
      statement.setString(6, createdBy);
      statement.setObject(7, expiresAt == null ? null : expiresAt.atOffset(ZoneOffset.UTC));
      return one(statement);
    }
  }

  /**
   * Lifts a stop that is in force. Tokens from before the stop stay dead.
   *
   * @return the stop as it is now, or empty if there is none with this id
   * @throws RefusedException {@link ProblemCode#CONFLICT} if it is not in force any more
   */
  public Optional<StopOrder> lift(UUID id, String reason, String by, AuditRecord record) {
    return inTransaction(connection -> {
      long epoch = raiseEpoch(connection);
      Optional<StopOrder> stop = find(connection, id);
      if (stop.isEmpty()) {
        return stop;
      }
      if (stop.get().endedAt() != null) {
        throw new RefusedException(
            ProblemCode.CONFLICT, "The stop is already " + stop.get().state());
      }
      StopOrder ended = end(connection, id, epoch, by, reason);
      TransactionalAudit.record(connection, record);
      return Optional.of(ended);
    });
  }

  static StopOrder end(
      Connection connection, UUID id, long epoch, String by, @Nullable String reason)
      throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "UPDATE stop SET ended_at = now(), ended_epoch = ?, ended_by = ?, end_reason = ?"
                + " WHERE id = ? RETURNING "
                + StopRows.COLUMNS)) {
      statement.setLong(1, epoch);
      statement.setString(2, by);
      statement.setString(3, reason);
      statement.setObject(4, id);
      return one(statement);
    }
  }

  /** Ends the stops whose time is over, by the database's clock. */
  public void endExpired() {
    inTransaction(connection -> {
      long epoch = raiseEpoch(connection);
      List<UUID> ids = expired(connection);
      for (UUID id : ids) {
        end(connection, id, epoch, EXPIRY, null);
      }
      return ids.size();
    });
  }

  private static List<UUID> expired(Connection connection) throws SQLException {
    List<UUID> ids = new ArrayList<>();
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT id FROM stop WHERE ended_at IS NULL AND expires_at <= now()");
        ResultSet rows = statement.executeQuery()) {
      while (rows.next()) {
        ids.add(rows.getObject(1, UUID.class));
      }
    }
    return ids;
  }

  /** The time by the database's clock, which is the one that ends stops. */
  public Instant databaseTime() {
    return reading(connection -> {
      try (PreparedStatement statement = connection.prepareStatement("SELECT clock_timestamp()");
          ResultSet rows = statement.executeQuery()) {
        rows.next();
        return rows.getObject(1, OffsetDateTime.class).toInstant();
      }
    });
  }

  /** The stop with this id, if there is one. */
  public Optional<StopOrder> find(UUID id) {
    return reading(connection -> find(connection, id));
  }

  private static Optional<StopOrder> find(Connection connection, UUID id) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("SELECT " + StopRows.COLUMNS + " FROM stop WHERE id = ?")) {
      statement.setObject(1, id);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? Optional.of(StopRows.read(rows)) : Optional.empty();
      }
    }
  }

  /**
   * Stops by descending epoch.
   *
   * @param belowEpoch only those with a smaller epoch
   * @param limit at most so many
   */
  public List<StopOrder> list(long belowEpoch, int limit) {
    return reading(connection -> {
      List<StopOrder> stops = new ArrayList<>();
      try (PreparedStatement statement =
          connection.prepareStatement(
              "SELECT "
                  + StopRows.COLUMNS
                  + " FROM stop WHERE epoch < ? ORDER BY epoch DESC LIMIT ?")) {
        statement.setLong(1, belowEpoch);
        statement.setInt(2, limit);
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            stops.add(StopRows.read(rows));
          }
        }
      }
      return stops;
    });
  }

  static long raiseEpoch(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement("UPDATE stop_epoch SET epoch = epoch + 1 RETURNING epoch");
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      return rows.getLong(1);
    }
  }

  private static StopOrder one(PreparedStatement statement) throws SQLException {
    try (ResultSet rows = statement.executeQuery()) {
      rows.next();
      return StopRows.read(rows);
    }
  }

  interface Work<T> {
    T on(Connection connection) throws SQLException;
  }

  private <T> T reading(Work<T> work) {
    try (Connection connection = connections.open()) {
      return work.on(connection);
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer: " + e.getSQLState());
    }
  }

  <T> T inTransaction(Work<T> work) {
    try (Connection connection = connections.open()) {
      connection.setAutoCommit(false);
      T result = work.on(connection);
      try (var notify = connection.createStatement()) {
        notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
      }
      connection.commit();
      return result;
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE,
          "The database did not take the order: " + e.getSQLState());
    }
  }
}
