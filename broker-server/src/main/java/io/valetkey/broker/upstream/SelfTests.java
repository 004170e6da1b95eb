package io.valetkey.broker.upstream;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tests of brokered destinations on their way from the issuer that was asked to a gateway. Only a
 * gateway reaches the upstream and its credential, by its network and by its Vault policy, so only
 * there is a test worth anything.
 */
public final class SelfTests {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Duration LONGEST = Duration.ofSeconds(20);
  private static final Duration UNTAKEN = Duration.ofSeconds(5);
  private static final long LOOK_MILLIS = 50;

  private static final String TAKE =
      """
      UPDATE self_test SET taken_at = now() WHERE id = (
        SELECT id FROM self_test WHERE taken_at IS NULL AND asked_at > now() - interval '5 seconds'
        ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
      RETURNING id, destination, method, path
      """;

  private final Connections connections;

  /**
   * A test that waits to be run.
   *
   * @param destination the destination's name
   * @param method {@code GET} or {@code HEAD}
   * @param path what is asked for at the upstream; null to send nothing
   */
  public record Order(UUID id, String destination, String method, @Nullable String path) {}

  /** Makes the way on connections of its own. */
  public SelfTests(Connections connections) {
    this.connections = connections;
  }

  /**
   * Has a gateway run a test, and waits for it, at most 20 seconds.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  public List<SelfTestStep> run(String destination, String method, @Nullable String path) {
    var order = new Order(UUID.randomUUID(), destination, method, path);
    try (Connection connection = connections.open()) {
      ask(connection, order);
      try {
        return await(connection, order.id());
      } finally {
        forget(connection, order.id());
      }
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer: " + e.getSQLState());
    }
  }

  private static void ask(Connection connection, Order order) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "INSERT INTO self_test (id, destination, method, path) VALUES (?, ?, ?, ?)")) {
      statement.setObject(1, order.id());
      statement.setString(2, order.destination());
      statement.setString(3, order.method());
      statement.setString(4, order.path());
      statement.execute();
    }
    try (var statement = connection.createStatement()) {
      statement.execute("NOTIFY " + ChangeFeed.CHANNEL);
    }
  }

  private static List<SelfTestStep> await(Connection connection, UUID id) throws SQLException {
    long asked = System.nanoTime();
    try (PreparedStatement statement =
        connection.prepareStatement("SELECT taken_at, steps FROM self_test WHERE id = ?")) {
      statement.setObject(1, id);
      while (true) {
        Duration waited = Duration.ofNanos(System.nanoTime() - asked);
        try (ResultSet row = statement.executeQuery()) {
          boolean there = row.next();
          String steps = there ? row.getString(2) : null;
          if (steps != null) {
            return JSON.readValue(steps, new TypeReference<>() {});
          }
          if (there && row.getTimestamp(1) == null && waited.compareTo(UNTAKEN) >= 0) {
            return List.of(SelfTestStep.failed("gateway", "No gateway is there to run it"));
          }
        }
        if (waited.compareTo(LONGEST) >= 0) {
          return List.of(SelfTestStep.failed("gateway", "The gateway did not finish in time"));
        }
        Thread.sleep(LOOK_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return List.of(SelfTestStep.failed("gateway", "The broker is shutting down"));
    }
  }

  private static void forget(Connection connection, UUID id) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement("DELETE FROM self_test WHERE id = ?")) {
      statement.setObject(1, id);
      statement.execute();
    }
  }

  /**
   * Takes a test that nobody has taken, if there is one.
   *
   * @throws SQLException if the database does not answer
   */
  public static Optional<Order> take(Connection connection) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(TAKE);
        ResultSet row = statement.executeQuery()) {
      return row.next()
          ? Optional.of(
              new Order(
                  row.getObject(1, UUID.class),
                  row.getString(2),
                  row.getString(3),
                  row.getString(4)))
          : Optional.empty();
    }
  }

  /**
   * Says what came of a test.
   *
   * @throws SQLException if the database does not answer
   */
  public void finish(UUID id, List<SelfTestStep> steps) throws SQLException {
    try (Connection connection = connections.open();
        PreparedStatement statement =
            connection.prepareStatement("UPDATE self_test SET steps = ?::jsonb WHERE id = ?")) {
      statement.setString(1, JSON.writeValueAsString(steps));
      statement.setObject(2, id);
      statement.execute();
    }
  }
}
