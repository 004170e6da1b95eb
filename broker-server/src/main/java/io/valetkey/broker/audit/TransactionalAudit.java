package io.valetkey.broker.audit;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;

/**
 * Writes a record within somebody else's transaction, so that a change and its record are durable
 * together or not at all.
 */
public final class TransactionalAudit {

  private TransactionalAudit() {}

  /**
   * Adds the record to the transaction of this connection. Each call is a writer of its own, so the
   * order of commit per writer holds without a lock.
   *
   * @throws SQLException if the database refuses; the transaction must then be rolled back
   */
  public static void record(Connection transaction, AuditRecord record) throws SQLException {
    var _ = recordUnder(transaction, record, OpenRecord.ANY_EPOCH);
  }

  /**
   * Adds records to the transaction of this connection, in this order, in one statement.
   *
   * @throws SQLException as for {@link #record}
   */
  public static void recordAll(Connection transaction, List<AuditRecord> records)
      throws SQLException {
    var batch = new AuditBatch(transaction);
    records.forEach(record -> batch.add(record, OpenRecord.ANY_EPOCH));
    var _ = batch.insert();
  }

  /**
   * Adds the record to the transaction of this connection if the stop epoch is still the one under
   * which it was decided, and keeps a stop from raising it until the transaction has ended.
   *
   * @return false if a stop came between: nothing was added, and the transaction must be rolled
   *     back and decided again
   * @throws SQLException if the database refuses; the transaction must then be rolled back
   */
  public static boolean recordUnder(Connection transaction, AuditRecord record, long epoch)
      throws SQLException {
    var batch = new AuditBatch(transaction);
    batch.add(record, epoch);
    return batch.insert()[0];
  }
}
