package io.valetkey.broker.stop;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** The statements of which {@link StopRestore} consists, all in its transaction. */
final class RestoreRows {

  private RestoreRows() {}

  static long lockEpoch(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement("SELECT epoch FROM stop_epoch FOR UPDATE");
        ResultSet rows = statement.executeQuery()) {
      if (!rows.next()) {
        throw new SQLException("the stop epoch is missing");
      }
      return rows.getLong(1);
    }
  }

  static boolean insert(Connection connection, StopOrder stop, long epoch) throws SQLException {
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
  static List<UUID> orderedSince(Connection connection, StopRestore.Knowledge known)
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

  static void renumber(Connection connection, UUID id, long epoch) throws SQLException {
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

  static void setEpoch(Connection connection, long epoch) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("UPDATE stop_epoch SET epoch = ?")) {
      statement.setLong(1, epoch);
      statement.execute();
    }
  }

  /** From here on the database holds what came before this place too. */
  static void adopt(Connection connection, HistoryPoint point) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO stop_mark (mark, epoch) VALUES (?, ?) ON CONFLICT DO NOTHING")) {
      statement.setObject(1, point.mark());
      statement.setLong(2, point.epoch());
      statement.execute();
    }
  }
}
