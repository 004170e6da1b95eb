package io.valetkey.broker.stop;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Stops as rows of the table {@code stop}. */
final class StopRows {

  static final String COLUMNS =
      "id, epoch, target_kind, target, reason, created_at, created_by, expires_at, ended_at,"
          + " ended_by, end_reason";

  private StopRows() {}

  /** The row that the result stands at. */
  static StopOrder read(ResultSet rows) throws SQLException {
    return new StopOrder(
        rows.getObject("id", UUID.class),
        rows.getLong("epoch"),
        new StopTarget(
            StopTarget.Kind.valueOf(rows.getString("target_kind").toUpperCase(Locale.ROOT)),
            rows.getString("target")),
        rows.getString("reason"),
        rows.getObject("created_at", OffsetDateTime.class).toInstant(),
        rows.getString("created_by"),
        instant(rows, "expires_at"),
        instant(rows, "ended_at"),
        rows.getString("ended_by"),
        rows.getString("end_reason"));
  }

  private static @Nullable Instant instant(ResultSet rows, String column) throws SQLException {
    OffsetDateTime value = rows.getObject(column, OffsetDateTime.class);
    return value == null ? null : value.toInstant();
  }
}
