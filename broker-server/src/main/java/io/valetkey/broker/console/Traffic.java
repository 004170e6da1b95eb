package io.valetkey.broker.console;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.springframework.jdbc.core.simple.JdbcClient;

/** What goes on at all gateways together, as they report it; and who is there. */
final class Traffic {

  private static final int SECONDS = 4;

  private final JdbcClient database;

  Traffic(JdbcClient database) {
    this.database = database;
  }

  /** Open exchanges of an agent at one destination. */
  record Open(String destination, long exchanges) {}

  /** One agent of a list. */
  record Listed(String name, String identities, boolean enabled, boolean stopped, long open) {}

  /** When a grant was last used, if ever. */
  record Use(String agent, String destination) {}

  /** What an agent has open at gateways that still report. */
  List<Open> open(String agent) {
    return database
        .sql(
            """
            SELECT destination, sum(exchanges) FROM open_exchange o JOIN gateway_replica g ON g.id = o.gateway
            WHERE agent = ? AND g.seen_at > now() - g.serves_millis * interval '1 millisecond'
            GROUP BY destination ORDER BY destination
            """)
        .withQueryTimeout(SECONDS)
        .param(agent)
        .query((row, number) -> new Open(row.getString(1), row.getLong(2)))
        .list();
  }

  /** Agents whose name holds a text, in order of their names, after one of them. */
  List<Listed> agents(String text, String after, int limit) {
    return database
        .sql(
            """
            SELECT a.name,
              (SELECT coalesce(string_agg((i->>'issuer') || ' · ' || (i->>'subject'), ', '), '')
               FROM jsonb_array_elements(a.spec->'identities') i),
              coalesce((a.spec->>'enabled')::boolean, true),
              EXISTS (SELECT FROM stop s WHERE s.ended_at IS NULL
                      AND (s.target_kind = 'everything' OR (s.target_kind = 'agent' AND s.target = a.name))),
              (SELECT coalesce(sum(exchanges), 0) FROM open_exchange o JOIN gateway_replica g ON g.id = o.gateway
               WHERE o.agent = a.name AND g.seen_at > now() - g.serves_millis * interval '1 millisecond')
            FROM agent a WHERE position(:text IN a.name) > 0 AND a.name > :after ORDER BY a.name LIMIT :limit
            """)
        .withQueryTimeout(SECONDS)
        .param("text", text)
        .param("after", after)
        .param("limit", limit)
        .query((row, number) ->
            new Listed(
                row.getString(1),
                row.getString(2),
                row.getBoolean(3),
                row.getBoolean(4),
                row.getLong(5)))
        .list();
  }

  /** When these agents last used each destination, through a gateway or by a lease. */
  Map<Use, Instant> lastUses(List<String> agents) {
    record Row(Use use, Instant time) {}
    return database
        .sql(
            """
            SELECT agent, destination, max(used_at) FROM (
              SELECT agent, destination, used_at FROM last_use WHERE agent = ANY (:agents)
              UNION ALL SELECT agent, destination, created_at FROM lease WHERE agent = ANY (:agents)) AS uses
            GROUP BY agent, destination
            """)
        .withQueryTimeout(SECONDS)
        .param("agents", agents.toArray(String[]::new))
        .query((row, number) ->
            new Row(
                new Use(row.getString(1), row.getString(2)),
                row.getObject(3, OffsetDateTime.class).toInstant()))
        .list()
        .stream()
        .collect(Collectors.toMap(Row::use, Row::time));
  }
}
