package io.valetkey.broker.policy;

import java.sql.Connection;
import java.sql.SQLException;

/** Records that a declared set was applied, in the transaction that does it. */
@FunctionalInterface
public interface ApplyRecorder {

  /**
   * Records it; if this throws, nothing is changed.
   *
   * @param transaction the connection of the transaction, not to be committed or closed
   */
  void record(Connection transaction, ApplyOrder order, Plan plan) throws SQLException;
}
