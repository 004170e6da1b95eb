package io.valetkey.broker.sink;

import io.valetkey.broker.audit.RecordRow;
import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.sink.Sink.Event;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Makes events of the schema {@value #SCHEMA} from what the trail holds. */
final class TrailReader {

  static final String SCHEMA = "valetkey.audit/1";

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int INFORMATIONAL = 6;
  private static final int WARNING = 4;

  private TrailReader() {}

  /** The records of one seal, in their order. */
  static List<Event> records(Connection connection, Seal seal) throws SQLException {
    List<Event> events = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            "SELECT * FROM audit_record WHERE time >= ? AND time <= ? AND writer = ? AND seq BETWEEN"
                + " ? AND ? ORDER BY seq")) {
      statement.setObject(1, seal.firstTime().atOffset(ZoneOffset.UTC));
      statement.setObject(2, seal.lastTime().atOffset(ZoneOffset.UTC));
      statement.setLong(3, seal.writer());
      statement.setLong(4, seal.firstSeq());
      statement.setLong(5, seal.lastSeq());
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          events.add(event(row, seal));
        }
      }
    }
    return events;
  }

  private static Event event(ResultSet row, Seal seal) throws SQLException {
    String time = row.getObject("time", OffsetDateTime.class).toInstant().toString();
    String id = row.getLong("writer") + "." + row.getLong("seq");
    ObjectNode event = start("record", id, time);
    for (String column : RecordRow.COLUMNS) {
      if (!column.equals("details")) {
        event.put(column, row.getString(column));
      }
    }
    event.set("details", JSON.readTree(row.getString("details")));
    event.put("hash", HexFormat.of().formatHex(seal.leaf(row.getLong("seq"))));
    boolean granted = row.getString("outcome").equals("granted");
    return new Event(id, time, JSON.writeValueAsString(event), granted ? INFORMATIONAL : WARNING);
  }

  /** The checkpoints behind a number whose seals have all been delivered. */
  static List<Event> checkpoints(Connection connection, long behind, long delivered)
      throws SQLException {
    List<Event> events = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            "SELECT number, made_at, jws FROM audit_checkpoint WHERE number > ? AND upto <= ? ORDER BY"
                + " number LIMIT 200")) {
      statement.setLong(1, behind);
      statement.setLong(2, delivered);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          String time = row.getObject("made_at", OffsetDateTime.class).toInstant().toString();
          String id = "checkpoint " + row.getLong("number");
          ObjectNode event = start("checkpoint", id, time);
          event.put("number", row.getLong("number")).put("jws", row.getString("jws"));
          events.add(new Event(id, time, JSON.writeValueAsString(event), INFORMATIONAL));
        }
      }
    }
    return events;
  }

  private static ObjectNode start(String type, String id, String time) {
    return JSON.createObjectNode()
        .put("schema", SCHEMA)
        .put("type", type)
        .put("id", id)
        .put("time", time);
  }
}
