package io.valetkey.broker.limit;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;

/** The rows in which replicas share requests per minute. */
final class RateRows {

  /** Each gateway that may serve, and one more for all that lease. */
  private static final String TAKE =
      """
      SELECT t.given, t.remaining, s.n
      FROM (SELECT 1 + count(*)::int AS n FROM gateway_replica WHERE serves_millis >= 0
            AND seen_at > clock_timestamp() - (serves_millis + 2000) * interval '1 millisecond') s,
        unnest(?::text[], ?::int[], ?::int[], ?::int[])
          WITH ORDINALITY AS a(grant_name, rate, owed, want, place),
        LATERAL grant_rate_take(a.grant_name, a.rate, a.owed, a.want, s.n) t
      ORDER BY a.place
      """;

  private RateRows() {}

  /**
   * What a replica says about one grant.
   *
   * @param owed what it served ahead
   * @param unused what it gives back
   * @param want the least it would like to have; 0 for nothing
   */
  record Ask(String grant, int perMinute, int owed, int unused, int want) {}

  /**
   * What it hears.
   *
   * @param pieces requests it may serve
   * @param remaining what is left of the limit; below zero when more than it was served
   * @param sharers how many replicas share
   */
  record Given(int pieces, double remaining, int sharers) {}

  /** One answer for each ask, in their order. */
  static List<Given> take(Connection connection, List<Ask> asks) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(TAKE)) {
      statement.setArray(
          1,
          connection.createArrayOf("text", asks.stream().map(Ask::grant).toArray(String[]::new)));
      statement.setArray(2, integers(connection, asks, Ask::perMinute));
      statement.setArray(3, integers(connection, asks, ask -> ask.owed() - ask.unused()));
      statement.setArray(4, integers(connection, asks, Ask::want));
      List<Given> given = new ArrayList<>();
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          given.add(new Given(rows.getInt(1), rows.getDouble(2), rows.getInt(3)));
        }
      }
      return given;
    }
  }

  private static java.sql.Array integers(
      Connection connection, List<Ask> asks, ToIntFunction<Ask> value) throws SQLException {
    return connection.createArrayOf(
        "int4", asks.stream().map(ask -> value.applyAsInt(ask)).toArray(Integer[]::new));
  }
}
