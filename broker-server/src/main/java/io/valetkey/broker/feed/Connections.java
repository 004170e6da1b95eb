package io.valetkey.broker.feed;

import java.sql.Connection;
import java.sql.SQLException;

/** Opens database connections that belong to one thread and do not come from the common pool. */
@FunctionalInterface
public interface Connections {

  /**
   * Opens a connection with short network time-outs, working as the application role, in
   * autocommit.
   *
   * @throws SQLException if the database does not answer in time
   */
  Connection open() throws SQLException;
}
