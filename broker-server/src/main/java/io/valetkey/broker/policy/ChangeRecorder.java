package io.valetkey.broker.policy;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;

/** Records each change of the policy in the transaction that makes it. */
@FunctionalInterface
public interface ChangeRecorder {

  /**
   * Records a change; if this throws, the change is not made.
   *
   * @param transaction the connection of the change's transaction, not to be committed or closed
   */
  void record(Connection transaction, Change change) throws SQLException;

  /**
   * Records changes that are made together; if this throws, none is made.
   *
   * @param transaction as for {@link #record}
   */
  default void recordAll(Connection transaction, List<Change> changes) throws SQLException {
    for (Change change : changes) {
      record(transaction, change);
    }
  }
}
