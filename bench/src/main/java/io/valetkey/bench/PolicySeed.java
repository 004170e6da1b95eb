package io.valetkey.bench;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Writes a policy of any size into a migrated database, in the form in which the admin API stores
 * it: agents {@code agent-0…} with the subjects {@code subject-0…}, grants of theirs on some of the
 * destinations {@code dest-0…}, and the scope {@code use} on each of those.
 */
final class PolicySeed {

  private static final String RULE =
      "{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/v1/**\",\"/repos/*/issues\"]}";

  /** So many the admin API takes at most. */
  private static final int RULES_PER_SCOPE = 200;

  private final BenchPostgres postgres;
  private final String database;

  PolicySeed(BenchPostgres postgres, String database) {
    this.postgres = postgres;
    this.database = database;
  }

  /**
   * How large it is.
   *
   * @param agents how many there are
   * @param destinations how many there are
   * @param grantsPerAgent on how many of them an agent has a grant: agent n begins at destination n
   *     times this, modulo their number
   * @param rules on each destination, each for paths of its own; those that do not fit into the
   *     scope {@code use} are in further ones that nobody was granted
   * @param revocations single tokens that are revoked; none of them is used
   */
  record Shape(int agents, int destinations, int grantsPerAgent, int rules, int revocations) {

    /** Of everything one, but of one kind many. */
    static Shape of(Kind kind, int count) {
      return switch (kind) {
        case RULES -> new Shape(1, 1, 1, count, 0);
        case DESTINATIONS -> new Shape(1, count, 1, 1, 0);
        case GRANTS -> new Shape(count, 1, 1, 1, 0);
        case REVOCATIONS -> new Shape(1, 1, 1, 1, count);
      };
    }

    /** Each agent has a grant on each destination. */
    static Shape of(int agents, int destinations) {
      return new Shape(agents, destinations, destinations, 1, 0);
    }
  }

  /** Of what there can be many. Grants are of an agent each. */
  enum Kind {
    RULES,
    DESTINATIONS,
    GRANTS,
    REVOCATIONS
  }

  /**
   * The one upstream of all destinations.
   *
   * @param origin where it is
   * @param http2 whether it may be spoken to by HTTP/2
   */
  record Upstream(String origin, boolean http2) {}

  /** Writes everything for an upstream of HTTP/1.1. */
  void write(IdentityIssuer issuer, int agents, int destinations, String origin)
      throws SQLException {
    write(issuer, Shape.of(agents, destinations), new Upstream(origin, false));
  }

  /** Writes everything. */
  void write(IdentityIssuer issuer, Shape shape, Upstream upstream) throws SQLException {
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
          "{\"kind\":\"http\",\"origin\":\"%s\",\"http2\":%s,\"credential\":{\"source\":\"file\",\"name\":\"upstream\"}}"
              .formatted(upstream.origin(), upstream.http2()),
          String.valueOf(shape.destinations()));
      scopes(connection, shape.rules());
      agents(connection, shape.agents());
      run(
          connection,
          "INSERT INTO agent_grant (name, agent, destination, spec, version)"
              + " SELECT a || '-' || d, a, d, jsonb_build_object('agent', a,"
              + " 'destination', d, 'scopes', jsonb_build_array('use')), 1"
              + " FROM (SELECT 'agent-' || n AS a, 'dest-' || (n::bigint * k + i) % destinations AS d"
              + " FROM (SELECT ?::int AS k, ?::int AS destinations, ?::int AS agents) AS shape,"
              + " generate_series(0, agents - 1) n, generate_series(0, k - 1) i) AS pair",
          String.valueOf(shape.grantsPerAgent()),
          String.valueOf(shape.destinations()),
          String.valueOf(shape.agents()));
      run(
          connection,
          "INSERT INTO agent_grant_scope (grant_name, destination, scope)"
              + " SELECT name, destination, 'use' FROM agent_grant");
      run(
          connection,
          "INSERT INTO change_log (id, kind, name)"
              + " SELECT nextval('change_log_id'), 'issuer', name FROM issuer");
      revocations(connection, shape.revocations());
      connection.commit();
    }
  }

  private static void scopes(Connection connection, int rules) throws SQLException {
    for (int first = 0; first < rules; first += RULES_PER_SCOPE) {
      run(
          connection,
          "INSERT INTO scope (destination, name, spec, version)"
              + " SELECT name, ?, ?::jsonb, 1 FROM destination",
          first == 0 ? "use" : "other-" + first,
          IntStream.range(first, Math.min(rules, first + RULES_PER_SCOPE))
              .mapToObj(PolicySeed::rule)
              .collect(Collectors.joining(",", "{\"allow\":[", "]}")));
    }
  }

  private static String rule(int n) {
    return n == 0
        ? RULE
        : "{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/v1/other-%d/*/items\"]}".formatted(n);
  }

  private static void revocations(Connection connection, int count) throws SQLException {
    run(
        connection,
        "INSERT INTO stop (id, epoch, target_kind, target, reason, created_by)"
            + " SELECT gen_random_uuid(), epoch + n, 'token', '1.revoked-' || n, 'revoked', 'bench'"
            + " FROM stop_epoch, generate_series(1, ?::int) n",
        String.valueOf(count));
    run(
        connection,
        "UPDATE stop_epoch SET epoch = epoch + ?::int WHERE ?::int > 0",
        String.valueOf(count),
        String.valueOf(count));
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
