package io.valetkey.broker.declaration;

import io.valetkey.broker.declaration.ReplayReport.PastUse;
import java.math.BigDecimal;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What the audit trail holds of tokens, requests and leases, read day by day from the newest on,
 * for as long as there is time. The first use of a rule by a token is a record of its own, and a
 * destination may have all of them recorded; further uses are counted by agent, destination and
 * rule, without their paths.
 */
final class PastUses {

  private static final int MOST = 20_000;
  private static final int STATEMENT_SECONDS = 2;

  /** What the records of a day say, each different thing once. */
  private static final String OF_A_DAY =
      """
      SELECT action, agent, issuer, subject, destination, scopes, details->>'method' AS method,
             details->>'path' AS path, details->>'rule' AS rule,
             sum((details->>'count')::bigint) AS repeats, count(*) AS records, max(time) AS last_used
      FROM audit_record
      WHERE time >= :from AND time < :until AND destination IS NOT NULL
        AND (action = 'gateway.request' AND agent IS NOT NULL
               AND (details->>'path' IS NOT NULL OR details->>'count' IS NOT NULL
                    OR details->>'way' = 'tunnel' AND outcome = 'granted')
             OR action = 'lease.create' AND outcome = 'granted'
             OR action = 'token.issue' AND issuer IS NOT NULL)
      GROUP BY action, agent, issuer, subject, destination, scopes, details->>'method',
               details->>'path', details->>'rule'
      ORDER BY max(time) DESC
      LIMIT :limit
      """;

  /** How often and when. */
  static final class Tally {

    private long records;
    private Instant lastUsed = Instant.EPOCH;
    private final Set<Rule> rules = new HashSet<>();

    long records() {
      return records;
    }

    Instant lastUsed() {
      return lastUsed;
    }
  }

  private record Rule(String agent, String destination, String rule) {}

  private final JdbcClient database;
  private final Map<PastUse, Tally> tallies = new LinkedHashMap<>();
  private final Map<Rule, Long> repeats = new HashMap<>();
  private final Instant now;
  private Instant since;
  private boolean cutShort;

  PastUses(JdbcClient database, Instant now) {
    this.database = database;
    this.now = now;
    this.since = now;
  }

  /** Reads the last days, until a moment of {@link System#nanoTime} at the latest. */
  void read(int days, long deadline) {
    Instant oldest = now.minus(Duration.ofDays(days));
    Instant until = now.plus(Duration.ofDays(1));
    Instant from = now.truncatedTo(ChronoUnit.DAYS);
    while (until.isAfter(oldest)) {
      Instant begin = from.isBefore(oldest) ? oldest : from;
      if (!readDay(begin, until, deadline)) {
        cutShort = true;
        return;
      }
      since = begin;
      until = begin;
      from = from.minus(Duration.ofDays(1));
    }
  }

  private boolean readDay(Instant from, Instant until, long deadline) {
    int left = MOST - tallies.size();
    if (left <= 0 || System.nanoTime() >= deadline) {
      return false;
    }
    try {
      List<Integer> rows =
          database
              .sql(OF_A_DAY)
              .withQueryTimeout(STATEMENT_SECONDS)
              .param("from", from.atOffset(ZoneOffset.UTC))
              .param("until", until.atOffset(ZoneOffset.UTC))
              .param("limit", left + 1)
              .query((row, number) -> add(row))
              .list();
      return rows.size() <= left;
    } catch (DataAccessException e) {
      return false;
    }
  }

  private int add(ResultSet row) throws SQLException {
    long records = row.getLong("records");
    String agent = row.getString("agent");
    String destination = row.getString("destination");
    String rule = row.getString("rule");
    Long counted =
        row.getObject("repeats", BigDecimal.class) == null ? null : row.getLong("repeats");
    if (counted != null) {
      if (agent != null && rule != null) {
        repeats.merge(new Rule(agent, destination, rule), counted, Long::sum);
      }
      return 0;
    }
    PastUse use =
        new PastUse(
            row.getString("action"),
            agent,
            row.getString("issuer"),
            row.getString("subject"),
            destination,
            scopes(row.getString("scopes")),
            row.getString("method"),
            row.getString("path"));
    Tally tally = tallies.computeIfAbsent(use, u -> new Tally());
    tally.records += records;
    Instant last = row.getObject("last_used", OffsetDateTime.class).toInstant();
    tally.lastUsed = last.isAfter(tally.lastUsed) ? last : tally.lastUsed;
    if (agent != null && rule != null) {
      tally.rules.add(new Rule(agent, destination, rule));
    }
    return 0;
  }

  private static List<String> scopes(@Nullable String text) {
    return text == null || text.isEmpty() ? List.of() : List.of(text.split(" ", -1));
  }

  Map<PastUse, Tally> tallies() {
    return tallies;
  }

  Instant since() {
    return since;
  }

  boolean isCutShort() {
    return cutShort;
  }

  /** How often the rules of a use were used beside what is on record one by one. */
  long repeats(Tally tally) {
    return tally.rules.stream().mapToLong(rule -> repeats.getOrDefault(rule, 0L)).sum();
  }

  /** Uses that are counted under rules of which none is on record. */
  long unplaced() {
    Set<Rule> placed = new HashSet<>();
    tallies.values().forEach(tally -> placed.addAll(tally.rules));
    return repeats.entrySet().stream()
        .filter(entry -> !placed.contains(entry.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }
}
