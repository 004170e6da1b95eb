package io.valetkey.broker.audit;

import java.sql.Connection;
import java.sql.SQLException;

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
    var batch = new AuditBatch(transaction);
    batch.add(record, OpenRecord.ANY_EPOCH);
    batch.insert();
  }
}
