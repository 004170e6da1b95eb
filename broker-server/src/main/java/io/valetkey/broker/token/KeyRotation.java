package io.valetkey.broker.token;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.SQLException;

/** Orders every issuing replica to make a new signing key at once. */
public final class KeyRotation {

  private final Connections connections;

  /** Orders through these connections. */
  public KeyRotation(Connections connections) {
    this.connections = connections;
  }

  /**
   * Orders it, durably and together with its audit record. Each replica acts on it when its feed
   * tells it.
   *
   * @param revoke whether tokens that were signed until now are to be refused everywhere
   * @return the number of the new generation of keys
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer; nobody knows then whether it was ordered, and ordering it again does no harm
   */
  public long order(boolean revoke, AuditRecord record) {
    try (Connection connection = connections.open()) {
      connection.setAutoCommit(false);
      KeyGeneration next = KeyGeneration.next(connection, revoke);
      TransactionalAudit.record(connection, record);
      try (var notify = connection.createStatement()) {
        notify.execute("NOTIFY " + ChangeFeed.CHANNEL);
      }
      connection.commit();
      return next.number();
    } catch (SQLException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not take the order.");
    }
  }
}
