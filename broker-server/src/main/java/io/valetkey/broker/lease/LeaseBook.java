package io.valetkey.broker.lease;

import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.policy.LeaseEngine;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopTarget;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/** Reads what is out: for agents, for the platform team, for stops and for the metrics. */
public final class LeaseBook {

  private static final String SELECT = "SELECT " + LeaseRows.COLUMNS + " FROM lease ";

  private static final String PROGRESS =
      "SELECT count(*) FILTER (WHERE state = 'revoked'), count(*) FILTER (WHERE state NOT IN"
          + " ('revoked', 'irrevocable')), count(*) FILTER (WHERE state = 'irrevocable') FROM lease"
          + " WHERE epoch < ? AND (state <> 'revoked' OR ended_at >= ?) AND ";

  private final JdbcClient jdbc;
  private final Connections connections;

  /**
   * Reads from this database.
   *
   * @param connections for what must be told when the common pool is full: how a stop is coming on
   */
  LeaseBook(DataSource dataSource, Connections connections) {
    this.jdbc = JdbcClient.create(dataSource);
    this.connections = connections;
  }

  /** The lease with this id. */
  public Optional<Lease> find(UUID id) {
    return reading(
        () -> jdbc.sql(SELECT + "WHERE id = ?").param(id).query(LeaseRows::read).optional());
  }

  /**
   * Which leases are meant; null means whichever.
   *
   * @param createdBefore only those that were asked for before this time
   * @param beforeId and, of those of exactly this time, with a smaller id
   */
  public record Filter(
      @Nullable String agent,
      @Nullable String destination,
      @Nullable LeaseState state,
      @Nullable Instant createdBefore,
      @Nullable UUID beforeId) {}

  /** Leases that fit, newest first, at most {@code limit}. */
  public List<Lease> list(Filter filter, int limit) {
    List<String> where = new ArrayList<>(List.of("TRUE"));
    Map<String, Object> values = new LinkedHashMap<>();
    equal("agent", filter.agent(), where, values);
    equal("destination", filter.destination(), where, values);
    equal("state", filter.state() == null ? null : filter.state().word(), where, values);
    if (filter.createdBefore() != null && filter.beforeId() != null) {
      where.add("(created_at, id) < (:time, :id)");
      values.put("time", filter.createdBefore().atOffset(ZoneOffset.UTC));
      values.put("id", filter.beforeId());
    }
    values.put("limit", limit);
    return reading(() ->
        jdbc.sql(
                SELECT
                    + "WHERE "
                    + String.join(" AND ", where)
                    + " ORDER BY created_at DESC, id DESC LIMIT :limit")
            .params(values)
            .query(LeaseRows::read)
            .list());
  }

  private static void equal(
      String column, @Nullable String value, List<String> where, Map<String, Object> values) {
    if (value != null) {
      where.add(column + " = :" + column);
      values.put(column, value);
    }
  }

  /** Everything that an agent may hold. */
  List<Lease> live() {
    return reading(() ->
        jdbc.sql(SELECT + "WHERE " + LeaseRows.KNOWN + " AND state IN ('intent', 'open', 'active')")
            .query(LeaseRows::read)
            .list());
  }

  /**
   * How far a stop is with the leases of its target.
   *
   * @param revoked gone since the stop
   * @param pending not known to be gone, the alarm not yet raised
   * @param irrevocable not known to be gone for longer than the bound
   */
  public record Progress(long revoked, long pending, long irrevocable) {

    /** Whether all of them are gone. */
    public boolean isComplete() {
      return pending + irrevocable == 0;
    }
  }

  /**
   * The leases that a stop ends: those of its target that were decided under an earlier epoch.
   *
   * @param target what was stopped
   * @param epoch the stop's epoch
   * @param since when it was ordered: what was gone before is not its doing
   */
  public Progress progress(StopTarget target, long epoch, Instant since) {
    String which =
        switch (target.kind()) {
          case AGENT -> "agent = ?";
          case DESTINATION -> "destination = ?";
          case ISSUER -> "issuer = ?";
          case TOKEN -> "jti = ?";
          case EVERYTHING -> "CAST(? AS text) IS NOT NULL";
        };
    try (Connection connection = connections.open();
        PreparedStatement statement = connection.prepareStatement(PROGRESS + which)) {
      statement.setLong(1, epoch);
      statement.setObject(2, since.atOffset(ZoneOffset.UTC));
      statement.setString(3, target.value());
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        return new Progress(row.getLong(1), row.getLong(2), row.getLong(3));
      }
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer: " + e.getSQLState());
    }
  }

  /**
   * What is out, for the metrics.
   *
   * @param live leases that agents may hold
   * @param pending those that must go
   * @param irrevocable those that must go and did not within the bound
   * @param oldestPendingSeconds since when the oldest of both must go; 0 if there is none
   */
  public record Counts(long live, long pending, long irrevocable, double oldestPendingSeconds) {}

  Counts counts() {
    return reading(() ->
        jdbc.sql(
                "SELECT count(*) FILTER (WHERE state IN ('intent', 'open', 'active')), count(*)"
                    + " FILTER (WHERE state = 'revoke_pending'), count(*) FILTER (WHERE state ="
                    + " 'irrevocable'), coalesce(extract(epoch FROM now() - min(revoke_at)), 0)"
                    + " FROM lease WHERE state <> 'revoked'")
            .query((row, number) ->
                new Counts(row.getLong(1), row.getLong(2), row.getLong(3), row.getDouble(4)))
            .single());
  }

  /** A role of Vault from which something is leased. */
  record Source(LeaseEngine engine, String mount, String role) {}

  /** The roles from which something dynamic may be out, or was within a day. */
  List<Source> sources() {
    return reading(() ->
        jdbc.sql(
                "SELECT engine, mount, role FROM lease WHERE state <> 'revoked' AND NOT fixed AND "
                    + LeaseRows.KNOWN
                    + " UNION SELECT engine, mount, role FROM lease WHERE state = 'revoked' AND"
                    + " ended_at > now() - interval '1 day' AND NOT fixed AND "
                    + LeaseRows.KNOWN)
            .query((row, number) ->
                new Source(
                    LeaseEngine.valueOf(row.getString(1).toUpperCase(Locale.ROOT)),
                    row.getString(2),
                    row.getString(3)))
            .list());
  }

  /** What we believe is out of a role. */
  List<Lease> outOf(Source source) {
    return reading(() ->
        jdbc.sql(SELECT + "WHERE state <> 'revoked' AND engine = ? AND mount = ? AND role = ?")
            .params(source.engine().word(), source.mount(), source.role())
            .query(LeaseRows::read)
            .list());
  }

  private interface Reading<T> {
    T read();
  }

  private static <T> T reading(Reading<T> reading) {
    try {
      return reading.read();
    } catch (DataAccessException e) {
      throw LeaseSteps.unavailable(e);
    }
  }
}
