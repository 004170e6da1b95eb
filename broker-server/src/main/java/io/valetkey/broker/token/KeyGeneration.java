package io.valetkey.broker.token;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * Which generation of signing keys is in use. Both numbers only grow.
 *
 * @param number new keys are of this one
 * @param revokedBelow keys of an earlier one than this are revoked
 * @param state changes whenever a key came or ended
 */
record KeyGeneration(long number, long revokedBelow, String state) {

  /** Before anything was read. */
  static final KeyGeneration NONE = new KeyGeneration(0, 0, "");

  /** Reads what is in force now. */
  static KeyGeneration read(Connection connection) throws SQLException {
    try (PreparedStatement statement =
            connection.prepareStatement(
                "SELECT g.generation, g.revoked_below,"
                    + " (SELECT count(*) || ' ' || coalesce(max(created_at)::text, '')"
                    + " FROM signing_key WHERE verify_until > now()) FROM signing_generation g");
        ResultSet rows = statement.executeQuery()) {
      rows.next();
      return new KeyGeneration(rows.getLong(1), rows.getLong(2), rows.getString(3));
    }
  }

  /** Whether this is what the other one was before; a restored backup says so. */
  boolean isBefore(KeyGeneration other) {
    return number < other.number || revokedBelow < other.revokedBelow;
  }

  /** Puts this back into a database that has forgotten it: what was revoked stays revoked. */
  void putBack(Connection connection) throws SQLException {
    try (PreparedStatement raise =
        connection.prepareStatement(
            "UPDATE signing_generation SET generation = greatest(generation, ?),"
                + " revoked_below = greatest(revoked_below, ?)")) {
      raise.setLong(1, number);
      raise.setLong(2, revokedBelow);
      raise.executeUpdate();
    }
    revoke(connection);
  }

  /** Starts the next generation in this transaction, and revokes all keys before it if asked to. */
  static KeyGeneration next(Connection transaction, boolean revoke) throws SQLException {
    try (PreparedStatement raise =
        transaction.prepareStatement(
            "UPDATE signing_generation SET generation = generation + 1,"
                + " revoked_below = CASE WHEN ? THEN generation + 1 ELSE revoked_below END")) {
      raise.setBoolean(1, revoke);
      raise.executeUpdate();
    }
    revoke(transaction);
    return read(transaction);
  }

  private static void revoke(Connection connection) throws SQLException {
    try (PreparedStatement delete =
        connection.prepareStatement(
            "DELETE FROM signing_key"
                + " WHERE generation < (SELECT revoked_below FROM signing_generation)")) {
      delete.executeUpdate();
    }
  }
}
