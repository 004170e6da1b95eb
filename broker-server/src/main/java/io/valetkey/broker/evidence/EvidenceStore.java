package io.valetkey.broker.evidence;

import io.valetkey.broker.audit.RecordRow;
import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.audit.SealFeed;
import io.valetkey.broker.evidence.AuditVerification.CheckpointRef;
import io.valetkey.broker.evidence.Checkpoint.Dropped;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Reads seals, records and checkpoints in pieces that take little memory and little time. */
final class EvidenceStore {

  private static final int CHECKPOINTS = 200;
  private static final int PLACES = 20_000;

  private final Connection connection;

  EvidenceStore(Connection connection) {
    this.connection = connection;
  }

  /**
   * A seal, with the hash of the seal of the same writer that ends where it begins.
   *
   * @param earlier whether the writer has seals before it at all, if that one is not there
   */
  @SuppressWarnings("ArrayRecordComponent")
  record LinkedSeal(Seal seal, byte @Nullable [] previous, boolean earlier) {}

  /** A record with its place in its writer's chain. */
  record PlacedRow(long position, long seq, RecordRow row) {}

  /** Where a record stands in the trail, and whether a seal speaks of it. */
  record Place(Instant time, long writer, long seq, boolean sealed) {}

  /** What follows sees one state of the database, the present one. */
  void newSnapshot() throws SQLException {
    connection.rollback();
  }

  /** The checkpoints from a number on, a page of them. */
  List<StoredCheckpoint> checkpoints(long from) throws SQLException {
    return checkpoints(from, CHECKPOINTS);
  }

  List<StoredCheckpoint> checkpoints(long from, int most) throws SQLException {
    return checkpoints("WHERE number >= ? ORDER BY number LIMIT " + most, s -> s.setLong(1, from));
  }

  /** The youngest checkpoints, the youngest first, a page of them. */
  List<StoredCheckpoint> newest() throws SQLException {
    return checkpoints("ORDER BY number DESC LIMIT " + CHECKPOINTS, s -> {});
  }

  @Nullable StoredCheckpoint latest() throws SQLException {
    List<StoredCheckpoint> found = checkpoints("ORDER BY number DESC LIMIT 1", s -> {});
    return found.isEmpty() ? null : found.getFirst();
  }

  @Nullable StoredCheckpoint checkpoint(long number) throws SQLException {
    List<StoredCheckpoint> found = checkpoints("WHERE number = ?", s -> s.setLong(1, number));
    return found.isEmpty() ? null : found.getFirst();
  }

  /** Whether the database holds this checkpoint, or it is among what was dropped. */
  boolean holds(CheckpointRef known, @Nullable Dropped dropped) throws SQLException {
    StoredCheckpoint stored = checkpoint(known.number());
    return stored == null
        ? dropped != null && dropped.checkpoint() >= known.number()
        : stored.signed().hash().equals(known.hash());
  }

  /** When the oldest record behind a position was written; null if there is none. */
  @Nullable Instant oldestBehind(long position) throws SQLException {
    try (var statement =
        connection.prepareStatement(
            "SELECT min(first_time) AS oldest FROM audit_seal WHERE position > ?")) {
      statement.setLong(1, position);
      try (ResultSet row = statement.executeQuery()) {
        row.next();
        return row.getObject("oldest") == null ? null : instant(row, "oldest");
      }
    }
  }

  private interface Parameters {
    void set(PreparedStatement statement) throws SQLException;
  }

  private List<StoredCheckpoint> checkpoints(String where, Parameters parameters)
      throws SQLException {
    List<StoredCheckpoint> checkpoints = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            "SELECT number, made_at, upto, jws FROM audit_checkpoint " + where)) {
      parameters.set(statement);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          checkpoints.add(checkpoint(row));
        }
      }
    }
    return checkpoints;
  }

  static StoredCheckpoint checkpoint(ResultSet row) throws SQLException {
    return new StoredCheckpoint(
        row.getLong("number"),
        instant(row, "made_at"),
        row.getLong("upto"),
        new SignedCheckpoint(row.getString("jws")));
  }

  /** Seals behind a position, up to another, at most so many. */
  List<LinkedSeal> seals(long after, long upto, int most) throws SQLException {
    List<LinkedSeal> seals = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            """
            SELECT s.*, p.hash AS previous_hash, p.hash IS NULL AND EXISTS (
              SELECT FROM audit_seal e WHERE e.writer = s.writer AND e.last_seq < s.first_seq) AS earlier
            FROM audit_seal s
            LEFT JOIN audit_seal p ON p.writer = s.writer AND p.last_seq = s.first_seq - 1
            WHERE s.position > ? AND s.position <= ? ORDER BY s.position LIMIT ?
            """)) {
      statement.setLong(1, after);
      statement.setLong(2, upto);
      statement.setInt(3, most);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          seals.add(
              new LinkedSeal(
                  SealFeed.seal(row), row.getBytes("previous_hash"), row.getBoolean("earlier")));
        }
      }
    }
    return seals;
  }

  /**
   * Some seals at positions up to this one, or at positions that were never drawn. Who may not read
   * the sequence does not see the latter.
   */
  List<Seal> sealsOutside(long dropped) throws SQLException {
    List<Seal> seals = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            """
            SELECT * FROM audit_seal WHERE position <= ? OR position > (
              SELECT coalesce(last_value, 9223372036854775807) FROM pg_sequences
              WHERE schemaname = current_schema() AND sequencename = 'audit_seal_position')
            ORDER BY position LIMIT 10
            """)) {
      statement.setLong(1, dropped);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          seals.add(SealFeed.seal(row));
        }
      }
    }
    return seals;
  }

  /** The records of these seals, by the seal's position. */
  Map<Long, List<PlacedRow>> records(long firstPosition, long lastPosition) throws SQLException {
    Map<Long, List<PlacedRow>> records = new HashMap<>();
    try (var statement =
        connection.prepareStatement(
            """
            SELECT s.position, r.* FROM audit_seal s
            JOIN audit_record r ON r.time >= s.first_time AND r.time <= s.last_time
                 AND r.writer = s.writer AND r.seq BETWEEN s.first_seq AND s.last_seq
            WHERE s.position BETWEEN ? AND ?
            """)) {
      statement.setLong(1, firstPosition);
      statement.setLong(2, lastPosition);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          records
              .computeIfAbsent(row.getLong("position"), p -> new ArrayList<>())
              .add(new PlacedRow(row.getLong("position"), row.getLong("seq"), row(row)));
        }
      }
    }
    return records;
  }

  private static RecordRow row(ResultSet row) throws SQLException {
    List<@Nullable String> texts = new ArrayList<>();
    for (String column : RecordRow.COLUMNS) {
      texts.add(row.getString(column));
    }
    return RecordRow.read(instant(row, "time"), texts);
  }

  /**
   * Where the records of a time stand, behind a place, a page of them in order.
   *
   * @param start seals up to this position do not count
   */
  List<Place> places(Place after, Instant until, long start) throws SQLException {
    List<Place> places = new ArrayList<>();
    try (var statement =
        connection.prepareStatement(
            """
            SELECT r.time, r.writer, r.seq, coalesce(
              (SELECT s.position > ? AND s.first_seq <= r.seq AND r.time BETWEEN s.first_time AND s.last_time
               FROM audit_seal s WHERE s.writer = r.writer AND s.last_seq >= r.seq
               ORDER BY s.last_seq LIMIT 1), false) AS sealed
            FROM audit_record r
            WHERE r.time >= ? AND r.time < ? AND (r.time, r.writer, r.seq) > (?, ?, ?)
            ORDER BY r.time, r.writer, r.seq LIMIT\
            """
                + " "
                + PLACES)) {
      statement.setLong(1, start);
      statement.setObject(2, utc(after.time()));
      statement.setObject(3, utc(until));
      statement.setObject(4, utc(after.time()));
      statement.setLong(5, after.writer());
      statement.setLong(6, after.seq());
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          places.add(
              new Place(
                  instant(row, "time"), row.getLong(2), row.getLong(3), row.getBoolean("sealed")));
        }
      }
    }
    return places;
  }

  /** The hash of the seal that ends at this record; null if there is none. */
  byte @Nullable [] head(long writer, long seq) throws SQLException {
    try (var statement =
        connection.prepareStatement(
            "SELECT hash FROM audit_seal WHERE writer = ? AND last_seq = ?")) {
      statement.setLong(1, writer);
      statement.setLong(2, seq);
      try (ResultSet row = statement.executeQuery()) {
        return row.next() ? row.getBytes(1) : null;
      }
    }
  }

  Instant sealedSince() throws SQLException {
    try (var statement = connection.prepareStatement("SELECT since FROM audit_sealed_since");
        ResultSet row = statement.executeQuery()) {
      return row.next() ? instant(row, "since") : Instant.EPOCH;
    }
  }

  static OffsetDateTime utc(Instant time) {
    return time.atOffset(ZoneOffset.UTC);
  }

  private static Instant instant(ResultSet row, String column) throws SQLException {
    return row.getObject(column, OffsetDateTime.class).toInstant();
  }
}
