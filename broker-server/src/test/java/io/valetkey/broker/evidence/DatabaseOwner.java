package io.valetkey.broker.evidence;

import io.valetkey.broker.RunningBroker;
import java.sql.Connection;

/** Does to a broker's database whatever its owner can. */
record DatabaseOwner(RunningBroker broker) {

  void sql(String... statements) throws Exception {
    try (Connection owner = broker.database();
        var statement = owner.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  long number(String query) throws Exception {
    try (Connection owner = broker.database();
        var row = owner.createStatement().executeQuery(query)) {
      row.next();
      return row.getLong(1);
    }
  }
}
