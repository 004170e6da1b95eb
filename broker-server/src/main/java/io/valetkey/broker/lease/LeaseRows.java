package io.valetkey.broker.lease;

import io.valetkey.broker.policy.LeaseEngine;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.UUID;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** How a lease stands in its table. */
final class LeaseRows {

  static final String COLUMNS =
      "id, state, agent, issuer, subject, jti, epoch, destination, scope, engine, mount, role,"
          + " fixed, token_accessor, vault_lease_id, renewable, revocable, created_at, expires_at,"
          + " max_expires_at, revoke_at, revoke_reason, attempts, last_error, ended_at,"
          + " coalesce(expires_at <= now(), false) AS over";

  /** Leaves out what another version of the broker has put there: it sees to it by itself. */
  static final String KNOWN =
      Arrays.stream(LeaseEngine.values())
          .map(engine -> "'" + engine.word() + "'")
          .collect(Collectors.joining(", ", "engine IN (", ")"));

  private LeaseRows() {}

  static Lease read(ResultSet row, int number) throws SQLException {
    return new Lease(
        row.getObject("id", UUID.class),
        LeaseState.of(row.getString("state")),
        row.getString("agent"),
        row.getString("issuer"),
        row.getString("subject"),
        row.getString("jti"),
        row.getLong("epoch"),
        row.getString("destination"),
        row.getString("scope"),
        LeaseEngine.valueOf(row.getString("engine").toUpperCase(Locale.ROOT)),
        row.getString("mount"),
        row.getString("role"),
        row.getBoolean("fixed"),
        row.getString("token_accessor"),
        row.getString("vault_lease_id"),
        row.getBoolean("renewable"),
        row.getBoolean("revocable"),
        Objects.requireNonNull(time(row, "created_at")),
        time(row, "expires_at"),
        Objects.requireNonNull(time(row, "max_expires_at")),
        time(row, "revoke_at"),
        row.getString("revoke_reason"),
        row.getInt("attempts"),
        row.getString("last_error"),
        time(row, "ended_at"),
        row.getBoolean("over"));
  }

  private static @Nullable Instant time(ResultSet row, String column) throws SQLException {
    OffsetDateTime value = row.getObject(column, OffsetDateTime.class);
    return value == null ? null : value.toInstant();
  }
}
