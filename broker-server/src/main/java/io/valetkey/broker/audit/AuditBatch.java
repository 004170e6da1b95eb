package io.valetkey.broker.audit;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Writes records over one connection, many in one statement, together with their {@link Seal}. The
 * statement takes a share lock on the stop epoch: a record that was decided under another epoch is
 * not written, and a stop that wants to raise the epoch waits until the batch is committed; a batch
 * of records that were decided under no epoch takes no lock. That is the whole order between
 * issuing and stopping, without a clock.
 */
final class AuditBatch {

  /**
   * All or nothing, because the seal speaks of all: if one was decided under another epoch, the
   * statement writes none and says which epoch it is. The lock comes before the position is drawn,
   * so whoever draws one has a transaction id by then ({@link SealFeed} needs that).
   */
  private static final String INSERT =
      """
      WITH now_at AS (SELECT epoch FROM stop_epoch FOR SHARE),
      fits AS (SELECT epoch FROM now_at WHERE ?::bigint < 0 OR epoch = ?::bigint),
      sealed AS (
        INSERT INTO audit_seal (writer, first_seq, last_seq, first_time, last_time, leaves, hash)
        SELECT ?, ?, ?, ?::timestamptz, ?::timestamptz, ?, ? FROM fits
        RETURNING writer, first_seq),
      written AS (
        INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome, reason, agent,
                                  issuer, subject, destination, scopes, jti, details)
        SELECT r.time::timestamptz, sealed.writer, sealed.first_seq + r.ordinal - 1, r.decision_id::uuid,
               r.action, r.outcome, r.reason, r.agent, r.issuer, r.subject, r.destination, r.scopes,
               r.jti, r.details::jsonb
        FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[],
                    ?::text[], ?::text[], ?::text[], ?::text[], ?::text[]) WITH ORDINALITY
             AS r(time, decision_id, action, outcome, reason, agent, issuer, subject, destination,
                  scopes, jti, details, ordinal)
             CROSS JOIN sealed
        RETURNING 1)
      SELECT (SELECT epoch FROM now_at), (SELECT count(*) FROM written)
      """;

  /**
   * Where no record was decided under an epoch there is nothing to order, and no stop waits. The
   * transaction id is asked for instead.
   */
  private static final String INSERT_UNORDERED =
      INSERT.replace(" FOR SHARE", " WHERE pg_current_xact_id() IS NOT NULL");

  private static final int FIRST_ARRAY = 10;

  /** A record that waits for the statement. */
  private record Waiting(RecordRow row, long epoch, int index) {}

  /** The present epoch, and whether the batch was written. */
  private record Answer(long epoch, boolean written) {}

  private final Connection connection;
  private final long writer;
  private final List<Waiting> added = new ArrayList<>();
  private long lastSeq;
  private byte[] lastHash = new byte[Seal.HASH];

  AuditBatch(Connection connection) throws SQLException {
    this.connection = connection;
    try (var statement = connection.prepareStatement("SELECT nextval('audit_writer_id')");
        ResultSet result = statement.executeQuery()) {
      result.next();
      this.writer = result.getLong(1);
    }
  }

  void add(AuditRecord record, long epoch) {
    added.add(new Waiting(RecordRow.of(record), epoch, added.size()));
  }

  /** Writes what was added, in that order, and tells for each whether it was written. */
  boolean[] insert() throws SQLException {
    boolean[] inserted = new boolean[added.size()];
    try {
      List<Waiting> batch = new ArrayList<>(added);
      while (!batch.isEmpty()) {
        long epoch = batch.stream().mapToLong(Waiting::epoch).max().orElseThrow();
        boolean several = batch.stream().anyMatch(w -> w.epoch() >= 0 && w.epoch() != epoch);
        Answer answer = several ? presentEpoch() : insert(batch, epoch);
        if (answer.written()) {
          batch.forEach(w -> inserted[w.index()] = true);
          break;
        }
        batch.removeIf(w -> w.epoch() >= 0 && w.epoch() != answer.epoch());
      }
      return inserted;
    } finally {
      added.clear();
    }
  }

  private Answer insert(List<Waiting> batch, long epoch) throws SQLException {
    Seal seal = seal(batch);
    try (PreparedStatement statement =
        connection.prepareStatement(epoch < 0 ? INSERT_UNORDERED : INSERT)) {
      statement.setLong(1, epoch);
      statement.setLong(2, epoch);
      statement.setLong(3, seal.writer());
      statement.setLong(4, seal.firstSeq());
      statement.setLong(5, seal.lastSeq());
      statement.setString(6, seal.firstTime().toString());
      statement.setString(7, seal.lastTime().toString());
      statement.setBytes(8, seal.leaves());
      statement.setBytes(9, seal.hash());
      statement.setArray(FIRST_ARRAY, column(batch, row -> row.time().toString()));
      for (int column = 0; column < RecordRow.COLUMNS.size(); column++) {
        int which = column;
        statement.setArray(FIRST_ARRAY + 1 + column, column(batch, row -> row.texts().get(which)));
      }
      try (ResultSet result = statement.executeQuery()) {
        result.next();
        boolean written = result.getLong(2) == batch.size();
        if (written) {
          lastSeq = seal.lastSeq();
          lastHash = seal.hash();
        }
        return new Answer(result.getLong(1), written);
      }
    }
  }

  private Seal seal(List<Waiting> batch) {
    byte[] leaves = new byte[batch.size() * Seal.HASH];
    Instant first = batch.getFirst().row().time();
    Instant last = first;
    for (int i = 0; i < batch.size(); i++) {
      RecordRow row = batch.get(i).row();
      first = row.time().isBefore(first) ? row.time() : first;
      last = row.time().isAfter(last) ? row.time() : last;
      System.arraycopy(row.hash(writer, lastSeq + 1 + i), 0, leaves, i * Seal.HASH, Seal.HASH);
    }
    long to = lastSeq + batch.size();
    byte[] hash = Seal.hash(lastHash, writer, lastSeq + 1, to, first, last, leaves);
    return new Seal(0, writer, lastSeq + 1, to, first, last, leaves, hash);
  }

  private Answer presentEpoch() throws SQLException {
    try (var statement = connection.prepareStatement("SELECT epoch FROM stop_epoch");
        ResultSet result = statement.executeQuery()) {
      result.next();
      return new Answer(result.getLong(1), false);
    }
  }

  private Array column(List<Waiting> batch, Function<RecordRow, @Nullable String> text)
      throws SQLException {
    @Nullable String[] values = new @Nullable String[batch.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = text.apply(batch.get(i).row());
    }
    return connection.createArrayOf("text", values);
  }
}
