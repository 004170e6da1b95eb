package io.valetkey.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;

/**
 * Writes a policy of any size into a migrated database, in the form in which the admin API stores
 * it: agents {@code agent-0…} with the subjects {@code subject-0…}, each with one grant on each of
 * the destinations {@code dest-0…}, and the scope {@code use} on each of those.
 */
final class PolicySeed {

  private static final String SCOPE =
      "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/v1/**\",\"/repos/*/issues\"]}]}";

  private final BenchPostgres postgres;
  private final String database;

  PolicySeed(BenchPostgres postgres, String database) {
    this.postgres = postgres;
    this.database = database;
  }

  /** Writes everything; the origin is that of all destinations. */
  void write(IdentityIssuer issuer, int agents, int destinations, String origin)
      throws SQLException {
    try (Connection connection = postgres.connect(database)) {
      connection.setAutoCommit(false);
      run(
          connection,
          "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
          IdentityIssuer.NAME,
          issuer.spec(),
          IdentityIssuer.ISS);
      run(
          connection,
          "INSERT INTO destination (name, spec, version) SELECT 'dest-' || n, ?::jsonb, 1"
              + " FROM generate_series(0, ?::int - 1) n",
          "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"upstream\"}}"
              .formatted(origin),
          String.valueOf(destinations));
      run(
          connection,
          "INSERT INTO scope (destination, name, spec, version)"
              + " SELECT name, 'use', ?::jsonb, 1 FROM destination",
          SCOPE);
      agents(connection, agents);
      run(
          connection,
          "INSERT INTO agent_grant (name, agent, destination, spec, version)"
              + " SELECT a.name || '-' || d.name, a.name, d.name, jsonb_build_object('agent', a.name,"
              + " 'destination', d.name, 'scopes', jsonb_build_array('use')), 1"
              + " FROM agent a CROSS JOIN destination d");
      run(
          connection,
          "INSERT INTO agent_grant_scope (grant_name, destination, scope)"
              + " SELECT name, destination, 'use' FROM agent_grant");
      run(
          connection,
          "INSERT INTO change_log (id, kind, name)"
              + " SELECT nextval('change_log_id'), 'issuer', name FROM issuer");
      connection.commit();
    }
  }

  private static void agents(Connection connection, int agents) throws SQLException {
    run(
        connection,
        "INSERT INTO agent (name, spec, version)"
            + " SELECT 'agent-' || n, jsonb_build_object('identities', jsonb_build_array("
            + "jsonb_build_object('issuer', ?::text, 'subject', 'subject-' || n))), 1"
            + " FROM generate_series(0, ?::int - 1) n",
        IdentityIssuer.NAME,
        String.valueOf(agents));
    run(
        connection,
        "INSERT INTO agent_identity (agent, ordinal, issuer, subject, claims)"
            + " SELECT 'agent-' || n, 0, ?::text, 'subject-' || n, '{}'"
            + " FROM generate_series(0, ?::int - 1) n",
        IdentityIssuer.NAME,
        String.valueOf(agents));
  }

  private static void run(Connection connection, String sql, String... values) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i++) {
        statement.setString(i + 1, values[i]);
      }
      statement.execute();
    }
  }
}
