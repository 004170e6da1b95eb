package io.valetkey.broker.approval;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;

/** The columns of an approval, without its body. */
final class ApprovalRows {

  private static final JsonMapper JSON = JsonMapper.shared();

  /** What a row is now, whether or not somebody has written down yet that it is over. */
  static final String STATE =
      "CASE WHEN a.state IN ('pending', 'approved') AND NOT approval_stands(a) THEN 'expired' ELSE"
          + " a.state END";

  static final String COLUMNS =
      "a.id, "
          + STATE
          + " AS state_now, a.agent, a.issuer, a.subject, a.jti, a.destination, a.scope,"
          + " a.grant_name, a.request_hash, a.method, a.url, a.content_type, a.fields, a.body_size,"
          + " a.created_at, a.expires_at, a.decided_by, a.decided_at, a.reason, a.ended_at";

  private ApprovalRows() {}

  static Approval read(ResultSet row, int number) throws SQLException {
    return new Approval(
        row.getObject("id", UUID.class),
        state(row.getString("state_now")),
        row.getString("agent"),
        row.getString("issuer"),
        row.getString("subject"),
        row.getString("jti"),
        row.getString("destination"),
        row.getString("scope"),
        row.getString("grant_name"),
        HexFormat.of().formatHex(row.getBytes("request_hash")),
        row.getString("method"),
        row.getString("url"),
        row.getString("content_type"),
        fields(row.getString("fields")),
        row.getInt("body_size"),
        Objects.requireNonNull(time(row, "created_at")),
        Objects.requireNonNull(time(row, "expires_at")),
        row.getString("decided_by"),
        time(row, "decided_at"),
        row.getString("reason"),
        time(row, "ended_at"));
  }

  /** Of the columns id, state and expires_at. */
  static Standing standing(ResultSet row, int number) throws SQLException {
    return new Standing(
        row.getObject(1, UUID.class),
        state(row.getString(2)),
        row.getObject(3, OffsetDateTime.class).toInstant());
  }

  static String json(List<ShownRequest.Field> fields) {
    ArrayNode list = JsonNodeFactory.instance.arrayNode();
    fields.forEach(field -> list.addArray().add(field.name()).add(field.value()));
    return list.toString();
  }

  private static List<ShownRequest.Field> fields(@Nullable String json) {
    List<ShownRequest.Field> fields = new ArrayList<>();
    if (json != null) {
      for (JsonNode field : JSON.readTree(json)) {
        fields.add(new ShownRequest.Field(field.get(0).asString(), field.get(1).asString()));
      }
    }
    return List.copyOf(fields);
  }

  private static ApprovalState state(String word) throws SQLException {
    ApprovalState state = ApprovalState.of(word);
    if (state == null) {
      throw new SQLException("an approval has an unknown state");
    }
    return state;
  }

  private static @Nullable Instant time(ResultSet row, String column) throws SQLException {
    OffsetDateTime time = row.getObject(column, OffsetDateTime.class);
    return time == null ? null : time.toInstant();
  }
}
