package io.valetkey.broker.policy;

import io.valetkey.broker.policy.PolicySnapshot.Delta;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Reads the rows that a snapshot is made of, in an order in which references already exist. */
final class SnapshotRows {

  private static final Logger log = LoggerFactory.getLogger(SnapshotRows.class);
  private static final int FETCH_SIZE = 2000;
  private static final ResourceJson JSON = new ResourceJson();
  private static final JsonMapper TREE = JsonMapper.shared();

  private SnapshotRows() {}

  /** What identifies a resource in the change log. */
  private record Key(ResourceKind kind, String name) {}

  static void readAll(Connection connection, Consumer<Delta> deltas) throws SQLException {
    for (ResourceKind kind : ResourceKind.values()) {
      String sql = "SELECT " + nameOf(kind) + " AS name, version, spec FROM " + table(kind);
      try (PreparedStatement statement = connection.prepareStatement(sql)) {
        statement.setFetchSize(FETCH_SIZE);
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            deltas.accept(delta(kind, rows));
          }
        }
      }
    }
  }

  static void readChanged(Connection connection, long since, long until, Consumer<Delta> deltas)
      throws SQLException {
    Map<Key, Boolean> changed = new LinkedHashMap<>();
    try (PreparedStatement statement =
        connection.prepareStatement(
            "SELECT kind, name FROM change_log WHERE id > ? AND id <= ? ORDER BY id")) {
      statement.setLong(1, since);
      statement.setLong(2, until);
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          changed.put(new Key(kind(rows.getString(1)), rows.getString(2)), true);
        }
      }
    }
    for (ResourceKind kind : ResourceKind.values()) {
      for (Key key : changed.keySet()) {
        if (key.kind() == kind) {
          deltas.accept(readOne(connection, key));
        }
      }
    }
  }

  private static Delta readOne(Connection connection, Key key) throws SQLException {
    String name = nameOf(key.kind());
    String sql =
        "SELECT "
            + name
            + " AS name, version, spec FROM "
            + table(key.kind())
            + " WHERE "
            + name
            + " = ?";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setString(1, key.name());
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? delta(key.kind(), rows) : new Delta(key.kind(), key.name(), 0, null);
      }
    }
  }

  /**
   * A stored resource that this version cannot read is left out, which is a no, and said loudly.
   */
  private static Delta delta(ResourceKind kind, ResultSet rows) throws SQLException {
    String name = rows.getString("name");
    try {
      ResourceSpec spec = JSON.read(kind, TREE.readValue(rows.getString("spec"), ObjectNode.class));
      return new Delta(kind, name, rows.getLong("version"), spec);
    } catch (RuntimeException e) {
      log.error("Stored {} {} cannot be read and counts as absent", kind.singular(), name);
      return new Delta(kind, name, 0, null);
    }
  }

  private static ResourceKind kind(String singular) throws SQLException {
    for (ResourceKind kind : ResourceKind.values()) {
      if (kind.singular().equals(singular)) {
        return kind;
      }
    }
    throw new SQLException("the change log speaks of a kind that is not known: " + singular);
  }

  private static String table(ResourceKind kind) {
    return PolicyRows.table(kind);
  }

  private static String nameOf(ResourceKind kind) {
    return kind == ResourceKind.SCOPE ? "destination || '/' || name" : "name";
  }
}
