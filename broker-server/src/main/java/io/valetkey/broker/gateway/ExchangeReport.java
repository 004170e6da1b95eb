package io.valetkey.broker.gateway;

import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.gateway.LiveExchanges.Way;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Function;

/**
 * What this gateway has open for each agent and destination, and what was used, written down for
 * whoever looks on. Only what has changed is written, and at most so much at a time that the feed,
 * whose connection this shares, is not held up; the rest waits for the next time.
 */
public final class ExchangeReport {

  private static final int MOST = 500;
  private static final Duration USE_COUNTS_FOR = Duration.ofMinutes(1);

  private static final String OPEN =
      """
      INSERT INTO open_exchange (gateway, agent, destination, exchanges)
      SELECT ?, o.agent, o.destination, o.exchanges FROM unnest(?::text[], ?::text[], ?::bigint[])
        AS o(agent, destination, exchanges)
      ON CONFLICT (gateway, agent, destination)
        DO UPDATE SET exchanges = excluded.exchanges, reported_at = now()
      """;
  private static final String CLOSED =
      """
      DELETE FROM open_exchange o USING unnest(?::text[], ?::text[]) AS c(agent, destination)
      WHERE o.gateway = ? AND o.agent = c.agent AND o.destination = c.destination
      """;
  private static final String USED =
      """
      INSERT INTO last_use (agent, destination, used_at)
      SELECT u.agent, u.destination, now() FROM unnest(?::text[], ?::text[]) AS u(agent, destination)
      ORDER BY u.agent, u.destination
      ON CONFLICT (agent, destination) DO UPDATE SET used_at = excluded.used_at
      """;

  private final LiveExchanges live;
  private final Map<Way, Long> reported = new HashMap<>();
  private final Map<Way, Long> usedNanos = new HashMap<>();
  private final List<Way> usesToReport = new ArrayList<>();

  /** Reports what is in there. */
  public ExchangeReport(LiveExchanges live) {
    this.live = live;
  }

  /** The same as a subscriber of the feed, for the gateway with this id. */
  public ChangeFeed.Subscriber of(UUID gateway) {
    return connection -> {
      reportOpen(connection, gateway);
      reportUses(connection);
    };
  }

  private void reportOpen(Connection connection, UUID gateway) throws SQLException {
    Map<Way, Long> now = live.counts();
    List<Way> changed =
        now.entrySet().stream()
            .filter(count -> !count.getValue().equals(reported.get(count.getKey())))
            .map(Map.Entry::getKey)
            .limit(MOST)
            .toList();
    List<Way> closed =
        reported.keySet().stream().filter(way -> !now.containsKey(way)).limit(MOST).toList();
    if (!closed.isEmpty()) {
      try (PreparedStatement statement = connection.prepareStatement(CLOSED)) {
        setWays(connection, statement, 1, closed);
        statement.setObject(3, gateway);
        statement.execute();
      }
      closed.forEach(reported::remove);
    }
    if (!changed.isEmpty()) {
      try (PreparedStatement statement = connection.prepareStatement(OPEN)) {
        statement.setObject(1, gateway);
        setWays(connection, statement, 2, changed);
        Long[] counts = changed.stream().map(now::get).toArray(Long[]::new);
        statement.setArray(4, connection.createArrayOf("bigint", counts));
        statement.execute();
      }
      changed.forEach(way -> reported.put(way, now.getOrDefault(way, 0L)));
    }
  }

  /** A way that is used all the time is written once a minute. */
  private void reportUses(Connection connection) throws SQLException {
    long now = System.nanoTime();
    usedNanos.values().removeIf(then -> now - then > USE_COUNTS_FOR.toNanos());
    for (Way way : live.takeUsed()) {
      if (!usedNanos.containsKey(way)) {
        usedNanos.put(way, now);
        usesToReport.add(way);
      }
    }
    if (usesToReport.isEmpty()) {
      return;
    }
    List<Way> batch = usesToReport.subList(0, Math.min(MOST, usesToReport.size()));
    try (PreparedStatement statement = connection.prepareStatement(USED)) {
      setWays(connection, statement, 1, batch);
      statement.execute();
    }
    batch.clear();
  }

  private static void setWays(
      Connection connection, PreparedStatement statement, int at, Collection<Way> ways)
      throws SQLException {
    statement.setArray(at, texts(connection, ways, Way::agent));
    statement.setArray(at + 1, texts(connection, ways, Way::destination));
  }

  private static java.sql.Array texts(
      Connection connection, Collection<Way> ways, Function<Way, String> part) throws SQLException {
    return connection.createArrayOf("text", ways.stream().map(part).toArray(String[]::new));
  }
}
