package io.valetkey.broker.control;

import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.policy.PageCursor;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Reads the audit trail, newest first. */
public final class AuditTrailQuery {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final List<String> TEXTS =
      List.of(
          "action",
          "outcome",
          "reason",
          "agent",
          "issuer",
          "subject",
          "destination",
          "scopes",
          "jti");

  /** A list must not hold up what writes the trail. */
  private static final int SECONDS = 4;

  private final JdbcClient database;

  /** Reads from this database. */
  public AuditTrailQuery(JdbcClient database) {
    this.database = database;
  }

  /**
   * Which records are meant; null means whichever.
   *
   * @param since from this time on
   * @param until before this time
   */
  public record Filter(
      @Nullable String agent,
      @Nullable String destination,
      @Nullable String outcome,
      @Nullable String action,
      @Nullable Instant since,
      @Nullable Instant until) {}

  /** A page of records. */
  public record Page(List<ObjectNode> records, @Nullable String next) {}

  private record Place(Instant time, long writer, long seq) {

    static Place of(String key) {
      String[] parts = key.split(" ", -1);
      try {
        if (key.matches("[0-9TZ:.-]{20,30} [0-9]{1,18} [0-9]{1,18}")) {
          return new Place(
              Instant.parse(parts[0]), Long.parseLong(parts[1]), Long.parseLong(parts[2]));
        }
      } catch (DateTimeException e) {
        // Refused below.
      }
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "The cursor is not one that an earlier page gave.");
    }

    String key() {
      return time + " " + writer + " " + seq;
    }
  }

  private record Row(Place place, ObjectNode document) {}

  /**
   * A page of what fits.
   *
   * @param cursor where an earlier page said to go on; null for the beginning
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} for a cursor of another kind
   */
  public Page page(Filter filter, int limit, @Nullable String cursor) {
    StringBuilder where = new StringBuilder("TRUE");
    Map<String, Object> values = new LinkedHashMap<>();
    equal("agent", filter.agent(), where, values);
    equal("destination", filter.destination(), where, values);
    equal("outcome", filter.outcome(), where, values);
    equal("action", filter.action(), where, values);
    if (filter.since() != null) {
      where.append(" AND time >= :since");
      values.put("since", filter.since().atOffset(ZoneOffset.UTC));
    }
    if (filter.until() != null) {
      where.append(" AND time < :until");
      values.put("until", filter.until().atOffset(ZoneOffset.UTC));
    }
    if (cursor != null) {
      Place place = Place.of(PageCursor.decode(cursor));
      where.append(" AND (time, writer, seq) < (:time, :writer, :seq)");
      values.put("time", place.time().atOffset(ZoneOffset.UTC));
      values.put("writer", place.writer());
      values.put("seq", place.seq());
    }
    values.put("limit", limit + 1);
    List<Row> rows =
        database
            .sql(
                "SELECT * FROM audit_record WHERE "
                    + where
                    + " ORDER BY time DESC, writer DESC, seq DESC LIMIT :limit")
            .withQueryTimeout(SECONDS)
            .params(values)
            .query(AuditTrailQuery::row)
            .list();
    boolean more = rows.size() > limit;
    List<Row> page = more ? rows.subList(0, limit) : rows;
    return new Page(
        page.stream().map(Row::document).toList(),
        more ? PageCursor.encode(page.getLast().place().key()) : null);
  }

  /** The record of a decision; the time inside the id finds it. */
  public Optional<ObjectNode> decision(UUID id) {
    return database
        .sql("SELECT * FROM audit_record WHERE time = ? AND decision_id = ?")
        .withQueryTimeout(SECONDS)
        .params(DecisionId.timeOf(id).atOffset(ZoneOffset.UTC), id)
        .query(AuditTrailQuery::row)
        .list()
        .stream()
        .map(Row::document)
        .findFirst();
  }

  /**
   * The decisions that these records are of.
   *
   * @param places {@code <writer>.<seq>} as the list shows it; what has another form has no
   *     decision
   * @param since not before this time
   * @param until before this time
   * @return by place; without those that are not there
   */
  public Map<String, UUID> decisionsAt(List<String> places, Instant since, Instant until) {
    List<Object[]> keys =
        places.stream()
            .filter(place -> place.matches("[0-9]{1,18}\\.[0-9]{1,18}"))
            .map(place -> place.split("\\.", -1))
            .map(parts -> new Object[] {Long.valueOf(parts[0]), Long.valueOf(parts[1])})
            .toList();
    Map<String, UUID> decisions = new HashMap<>();
    if (!keys.isEmpty()) {
      database
          .sql(
              "SELECT writer, seq, decision_id FROM audit_record WHERE time >= :since AND time <"
                  + " :until AND (writer, seq) IN (:keys)")
          .withQueryTimeout(SECONDS)
          .param("since", since.atOffset(ZoneOffset.UTC))
          .param("until", until.atOffset(ZoneOffset.UTC))
          .param("keys", keys)
          .query(row -> {
            String place = row.getLong("writer") + "." + row.getLong("seq");
            decisions.put(place, row.getObject("decision_id", UUID.class));
          });
    }
    return decisions;
  }

  private static void equal(
      String column, @Nullable String value, StringBuilder where, Map<String, Object> values) {
    if (value != null) {
      where.append(" AND ").append(column).append(" = :").append(column);
      values.put(column, value);
    }
  }

  private static Row row(ResultSet row, int number) throws SQLException {
    Instant time = row.getObject("time", OffsetDateTime.class).toInstant();
    Place place = new Place(time, row.getLong("writer"), row.getLong("seq"));
    ObjectNode document = JsonNodeFactory.instance.objectNode();
    document.put("id", place.writer() + "." + place.seq());
    document.put("time", time.toString());
    for (String column : TEXTS) {
      document.put(column, row.getString(column));
    }
    document.put("decision_id", row.getString("decision_id"));
    document.set("details", JSON.readTree(row.getString("details")));
    return new Row(place, document);
  }
}
