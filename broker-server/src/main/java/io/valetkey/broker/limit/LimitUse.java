package io.valetkey.broker.limit;

import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;

/** What is used of the limits of grants, for people who ask. Takes nothing, writes nothing. */
public final class LimitUse {

  private static final String REQUESTS =
      """
      SELECT u.used, u.moment + u.used * 60.0 / ? * interval '1 second'
      FROM (SELECT m.moment, greatest(0, coalesce(
              (SELECT r.used - greatest(0, extract(epoch FROM m.moment - r.at)) * ? / 60.0
               FROM grant_rate r WHERE r.grant_name = ?), 0))::double precision AS used
            FROM (SELECT clock_timestamp() AS moment OFFSET 0) m) u
      """;

  private final Connections connections;

  /** Reads on connections of its own. */
  public LimitUse(Connections connections) {
    this.connections = connections;
  }

  /**
   * What is used of requests per minute.
   *
   * @param used what was served within the last while and has not come back, and what replicas hold
   *     in advance; more than the limit if it was lowered, or while a credit is paid back
   * @param fullAt when the whole limit is there again, if nobody takes more
   */
  public record Requests(int limit, double used, Instant fullAt) {

    /** How many requests could be taken now. */
    public int left() {
      return (int) Math.max(0, limit - used);
    }
  }

  /**
   * Reads what all replicas have taken.
   *
   * @param limit the limit as the policy has it
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public Requests requests(String grant, int limit) {
    try (Connection connection = connections.open();
        PreparedStatement statement = connection.prepareStatement(REQUESTS)) {
      statement.setInt(1, limit);
      statement.setInt(2, limit);
      statement.setString(3, grant);
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        return new Requests(
            limit, rows.getDouble(1), rows.getObject(2, OffsetDateTime.class).toInstant());
      }
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer: " + e.getSQLState());
    }
  }
}
