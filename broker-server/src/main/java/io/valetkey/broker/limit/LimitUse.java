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
import org.jspecify.annotations.Nullable;

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

  private static final String BUDGET =
      """
      SELECT coalesce((SELECT b.used FROM grant_budget b
                       WHERE b.grant_name = w.of_grant AND b.budget = w.of_budget AND b.since = w.start), 0),
        l.held, l.said, w.start + w.seconds * interval '1 second'
      FROM (SELECT m.*, to_timestamp(floor(extract(epoch FROM m.moment) / m.seconds) * m.seconds) AS start
            FROM (SELECT clock_timestamp() AS moment, ?::text AS of_grant, ?::text AS of_budget,
                         greatest(?, 1) AS seconds OFFSET 0) m) w,
        LATERAL (SELECT coalesce(sum(e.held), 0)::bigint AS held, coalesce(sum(e.said), 0)::bigint AS said
                 FROM grant_budget_lease e WHERE e.grant_name = w.of_grant AND e.budget = w.of_budget
                   AND e.until > w.moment) l
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
   * What is used of a budget.
   *
   * @param used what was charged in this window, or how many streams are open; more than the limit
   *     if requests were on their way when it was used up
   * @param held what replicas hold of the rest in advance; it is theirs for some seconds
   * @param resetsAt when it is whole again; null for streams, which come back one by one
   */
  public record OfBudget(long limit, long used, long held, @Nullable Instant resetsAt) {

    /** What is not used. */
    public long left() {
      return Math.max(0, limit - used);
    }
  }

  /**
   * Reads what all replicas have said. What is not said yet is not in it: some milliseconds' worth
   * if the database answers.
   *
   * @param cap the limit as the policy has it
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public OfBudget budget(String grant, Budget budget, long cap) {
    try (Connection connection = connections.open();
        PreparedStatement statement = connection.prepareStatement(BUDGET)) {
      statement.setString(1, grant);
      statement.setString(2, budget.field());
      statement.setInt(3, budget.windowSeconds());
      try (ResultSet rows = statement.executeQuery()) {
        rows.next();
        long held = rows.getLong(2);
        long said = rows.getLong(3);
        return budget.isOpen()
            ? new OfBudget(cap, said, Math.max(0, held - said), null)
            : new OfBudget(
                cap, rows.getLong(1), held, rows.getObject(4, OffsetDateTime.class).toInstant());
      }
    } catch (SQLException e) {
      throw away(e);
    }
  }

  private static RefusedException away(SQLException failure) {
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "The database did not answer: " + failure.getSQLState());
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
      throw away(e);
    }
  }
}
