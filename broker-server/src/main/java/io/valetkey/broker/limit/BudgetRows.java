package io.valetkey.broker.limit;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Function;

/** The rows in which replicas share budgets. */
final class BudgetRows {

  private static final String TAKE =
      """
      SELECT t.given, t.ends_in, s.n
      FROM (SELECT 1 + count(*)::int AS n FROM gateway_replica WHERE serves_millis >= 0
            AND seen_at > clock_timestamp() - (serves_millis + 2000) * interval '1 millisecond') s,
        unnest(?::text[], ?::text[], ?::uuid[], ?::int8[], ?::int4[], ?::int8[], ?::int8[], ?::int8[],
            ?::bool[]) WITH ORDINALITY
          AS a(grant_name, budget, holder, cap, seconds, total, heard, want, more, place),
        LATERAL grant_budget_take(a.grant_name, a.budget, a.holder, a.cap, a.seconds, a.total,
            a.heard, a.want, a.more, s.n) t
      ORDER BY a.place
      """;

  private BudgetRows() {}

  /**
   * What a replica says about one budget.
   *
   * @param holder who says it
   * @param total what it has used since it began, or what is open now
   * @param heard the total of the last answer that it heard
   * @param want the least it would like to have; 0 for nothing
   * @param more whether it would like more than that
   */
  record Ask(
      String grant,
      Budget budget,
      UUID holder,
      long cap,
      long total,
      long heard,
      long want,
      boolean more) {}

  /**
   * What it hears.
   *
   * @param held what it may use beyond what it said, or how much it may have open
   * @param secondsLeft until the window ends
   * @param sharers how many replicas share
   */
  record Given(long held, double secondsLeft, int sharers) {}

  /** One answer for each ask, in their order. */
  static List<Given> take(Connection connection, List<Ask> asks) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(TAKE)) {
      set(statement, 1, "text", asks, Ask::grant);
      set(statement, 2, "text", asks, ask -> ask.budget().field());
      set(statement, 3, "uuid", asks, Ask::holder);
      set(statement, 4, "int8", asks, Ask::cap);
      set(statement, 5, "int4", asks, ask -> ask.budget().windowSeconds());
      set(statement, 6, "int8", asks, Ask::total);
      set(statement, 7, "int8", asks, Ask::heard);
      set(statement, 8, "int8", asks, Ask::want);
      set(statement, 9, "bool", asks, Ask::more);
      List<Given> given = new ArrayList<>();
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          given.add(new Given(rows.getLong(1), rows.getDouble(2), rows.getInt(3)));
        }
      }
      return given;
    }
  }

  private static void set(
      PreparedStatement statement,
      int place,
      String type,
      List<Ask> asks,
      Function<Ask, Object> value)
      throws SQLException {
    statement.setArray(
        place, statement.getConnection().createArrayOf(type, asks.stream().map(value).toArray()));
  }
}
