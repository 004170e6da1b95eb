package io.valetkey.broker.signal;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.policy.PageCursor;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Received.Action;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.ConnectionCallback;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionOperations;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What was signalled, newest first, in PostgreSQL. */
public final class Timeline {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int SECONDS = 4;

  private final JdbcTemplate template;
  private final JdbcClient database;
  private final TransactionOperations transactions;

  /** Makes a timeline; the transactions are on the data source and have a time-out. */
  public Timeline(DataSource dataSource, TransactionOperations transactions) {
    this.template = new JdbcTemplate(dataSource);
    this.database = JdbcClient.create(template);
    this.transactions = transactions;
  }

  /**
   * One signal as it stands there.
   *
   * @param received what became of it
   * @param receivedAt when it arrived
   * @param occurredAt when it happened, as its sender says
   * @param source {@code falco}, {@code tetragon} or {@code ssf}
   * @param sender who sent it
   * @param issuer the name of the issuer that it is about, if it is about one
   * @param rule the rule of ours that acted, or recognised it
   * @param facts rule, event, priority, pod and further words of it
   */
  public record Entry(
      Received received,
      Instant receivedAt,
      @Nullable Instant occurredAt,
      String source,
      String sender,
      @Nullable String issuer,
      @Nullable String rule,
      JsonNode facts) {}

  /** A page of signals. */
  public record Page(List<Entry> entries, @Nullable String next) {}

  /**
   * Which signals are meant.
   *
   * @param agent those about this agent; about whomever if null
   * @param unmapped only those about nobody that is known
   */
  public record Filter(@Nullable String agent, boolean unmapped) {}

  /**
   * Adds a signal, together with its audit record and whatever else must be true then, or not at
   * all.
   *
   * @param alongside done first, in the same transaction; false means that nothing is to be added
   * @return whether it was added
   */
  boolean add(Entry entry, AuditRecord record, java.util.function.BooleanSupplier alongside) {
    return transactions.<Boolean>execute(status -> {
      if (!alongside.getAsBoolean()) {
        return false;
      }
      insert(entry);
      audit(record);
      return true;
    });
  }

  private void audit(AuditRecord record) {
    template.execute(
        (ConnectionCallback<Boolean>)
            connection -> {
              TransactionalAudit.record(connection, record);
              return true;
            });
  }

  private void insert(Entry entry) {
    database
        .sql(
            """
            INSERT INTO signal (id, received_at, occurred_at, source, sender, issuer, agent, action,
                                signal_rule, stop_id, facts)
            VALUES (:id, :received, :occurred, :source, :sender, :issuer, :agent, :action, :rule, :stop,
                    :facts::jsonb)
            """)
        .param("id", entry.received().id())
        .param("received", entry.receivedAt().atOffset(ZoneOffset.UTC))
        .param(
            "occurred",
            entry.occurredAt() == null ? null : entry.occurredAt().atOffset(ZoneOffset.UTC),
            Types.TIMESTAMP_WITH_TIMEZONE)
        .param("source", entry.source())
        .param("sender", entry.sender())
        .param("issuer", entry.issuer(), Types.VARCHAR)
        .param("agent", entry.received().agent(), Types.VARCHAR)
        .param("action", entry.received().action().word())
        .param("rule", entry.rule(), Types.VARCHAR)
        .param("stop", entry.received().stop(), Types.OTHER)
        .param("facts", JSON.writeValueAsString(entry.facts()))
        .update();
  }

  /** The stop that is in force for this cause, if there is one. */
  Optional<UUID> stopInForce(String cause) {
    return database
        .sql(
            "SELECT id FROM stop WHERE cause = ? AND ended_at IS NULL"
                + " AND (expires_at IS NULL OR expires_at > now())")
        .param(cause)
        .query(UUID.class)
        .optional();
  }

  /**
   * What was signalled about these pods of one cluster within the last hour, when nobody knew them,
   * and has not been judged again since.
   *
   * @param uids their uids
   * @param names {@code namespace/name} of each, for signals that give no uid
   */
  List<Entry> unmapped(String issuer, List<String> uids, List<String> names) {
    return database
        .sql(
            """
            SELECT * FROM signal
            WHERE agent IS NULL AND received_at > now() - interval '1 hour' AND issuer = ?
              AND (facts->>'pod_uid' = ANY (?)
                   OR (facts->>'pod_uid' IS NULL AND (facts->>'namespace') || '/' || (facts->>'pod') = ANY (?)))
              AND NOT EXISTS (SELECT FROM signal later WHERE later.facts->>'first_received_as' = signal.id::text)
            ORDER BY received_at LIMIT 1000
            """)
        .params(issuer, uids.toArray(String[]::new), names.toArray(String[]::new))
        .query(Timeline::entry)
        .list();
  }

  /**
   * A page, newest first.
   *
   * @param cursor where an earlier page said to go on; null for the beginning
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} for a cursor of another kind
   */
  public Page page(Filter filter, int limit, @Nullable String cursor) {
    StringBuilder where = new StringBuilder("TRUE");
    Map<String, Object> values = new LinkedHashMap<>();
    if (filter.agent() != null) {
      where.append(" AND agent = :agent");
      values.put("agent", filter.agent());
    }
    if (filter.unmapped()) {
      where.append(" AND agent IS NULL");
    }
    if (cursor != null) {
      where.append(" AND (received_at, id) < (:received, :id)");
      String[] place = place(PageCursor.decode(cursor));
      values.put(
          "received", Instant.ofEpochMilli(Long.parseLong(place[0])).atOffset(ZoneOffset.UTC));
      values.put("id", UUID.fromString(place[1]));
    }
    values.put("limit", limit + 1);
    List<Entry> found =
        database
            .sql(
                "SELECT * FROM signal WHERE "
                    + where
                    + " ORDER BY received_at DESC, id DESC LIMIT :limit")
            .withQueryTimeout(SECONDS)
            .params(values)
            .query(Timeline::entry)
            .list();
    if (found.size() <= limit) {
      return new Page(found, null);
    }
    List<Entry> entries = List.copyOf(found.subList(0, limit));
    Entry last = entries.getLast();
    return new Page(
        entries, PageCursor.encode(last.receivedAt().toEpochMilli() + " " + last.received().id()));
  }

  private static String[] place(String key) {
    if (!key.matches("[1-9][0-9]{0,13} [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "The cursor is not one that an earlier page gave.");
    }
    return key.split(" ", 2);
  }

  private static Entry entry(ResultSet row, int number) throws SQLException {
    OffsetDateTime occurred = row.getObject("occurred_at", OffsetDateTime.class);
    return new Entry(
        new Received(
            row.getObject("id", UUID.class),
            row.getString("agent"),
            Action.valueOf(row.getString("action").toUpperCase(java.util.Locale.ROOT)),
            row.getObject("stop_id", UUID.class)),
        row.getObject("received_at", OffsetDateTime.class).toInstant(),
        occurred == null ? null : occurred.toInstant(),
        row.getString("source"),
        row.getString("sender"),
        row.getString("issuer"),
        row.getString("signal_rule"),
        JSON.readTree(row.getString("facts")));
  }
}
