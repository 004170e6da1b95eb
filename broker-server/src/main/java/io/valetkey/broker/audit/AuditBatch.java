package io.valetkey.broker.audit;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * Writes records over one connection, many in one statement. The statement takes a share lock on
 * the stop epoch: a record that was decided under another epoch is not written, and a stop that
 * wants to raise the epoch waits until the batch is committed; a batch of records that were decided
 * under no epoch takes no lock. That is the whole order between issuing and stopping, without a
 * clock.
 */
final class AuditBatch {

  private static final String INSERT =
      """
      WITH now_at AS (SELECT epoch FROM stop_epoch FOR SHARE)
      INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome, reason, agent,
                                issuer, subject, destination, scopes, jti, details)
      SELECT r.time::timestamptz, ?, r.seq, r.decision_id::uuid, r.action, r.outcome, r.reason, r.agent,
             r.issuer, r.subject, r.destination, r.scopes, r.jti, r.details::jsonb
      FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[],
                  ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[])
           AS r(seq, epoch, time, decision_id, action, outcome, reason, agent, issuer, subject,
                destination, scopes, jti, details)
           CROSS JOIN now_at
      WHERE r.epoch < 0 OR r.epoch = now_at.epoch
      ORDER BY r.seq
      RETURNING seq
      """;

  /** Where no record was decided under an epoch there is nothing to order, and no stop waits. */
  private static final String INSERT_UNORDERED = INSERT.replace(" FOR SHARE", "");

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int TEXT_COLUMNS = 12;

  private final Connection connection;
  private final long writer;
  private final List<Long> epochs = new ArrayList<>();
  private final List<@Nullable String[]> rows = new ArrayList<>();
  private long lastSeq;

  AuditBatch(Connection connection) throws SQLException {
    this.connection = connection;
    try (var statement = connection.prepareStatement("SELECT nextval('audit_writer_id')");
        ResultSet result = statement.executeQuery()) {
      result.next();
      this.writer = result.getLong(1);
    }
  }

  void add(AuditRecord record, long epoch) {
    epochs.add(epoch);
    rows.add(columns(record));
  }

  private static @Nullable String[] columns(AuditRecord record) {
    return new @Nullable String[] {
      record.time().toString(),
      record.decisionId().toString(),
      record.action(),
      record.outcome().name().toLowerCase(Locale.ROOT),
      record.reason(),
      record.agent(),
      record.issuer(),
      storable(record.subject()),
      storable(record.destination()),
      storable(record.scopes()),
      record.jti(),
      storable(record.details().isEmpty() ? "{}" : JSON.writeValueAsString(record.details()))
    };
  }

  /**
   * PostgreSQL cannot store NUL, as a character or as a JSON escape; a hostile request may hold
   * one.
   */
  private static @Nullable String storable(@Nullable String text) {
    return text == null ? null : text.replace('\u0000', '\ufffd').replace("\\u0000", "\\ufffd");
  }

  /** Writes what was added, in that order, and tells for each whether it was written. */
  boolean[] insert() throws SQLException {
    int n = rows.size();
    long base = lastSeq + 1;
    boolean[] inserted = new boolean[n];
    boolean ordered = epochs.stream().anyMatch(epoch -> epoch >= 0);
    try (PreparedStatement statement =
        connection.prepareStatement(ordered ? INSERT : INSERT_UNORDERED)) {
      Long[] seqs = new Long[n];
      for (int i = 0; i < n; i++) {
        seqs[i] = base + i;
      }
      statement.setLong(1, writer);
      statement.setArray(2, connection.createArrayOf("bigint", seqs));
      statement.setArray(3, connection.createArrayOf("bigint", epochs.toArray()));
      for (int column = 0; column < TEXT_COLUMNS; column++) {
        statement.setArray(4 + column, textColumn(column));
      }
      try (ResultSet result = statement.executeQuery()) {
        while (result.next()) {
          inserted[(int) (result.getLong(1) - base)] = true;
        }
      }
      lastSeq = base + n - 1;
    } finally {
      epochs.clear();
      rows.clear();
    }
    return inserted;
  }

  private Array textColumn(int column) throws SQLException {
    @Nullable String[] values = new @Nullable String[rows.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = rows.get(i)[column];
    }
    return connection.createArrayOf("text", values);
  }
}
