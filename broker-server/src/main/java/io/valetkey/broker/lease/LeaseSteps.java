package io.valetkey.broker.lease;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.function.Function;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.ConnectionCallback;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionOperations;

/**
 * What the steps of a lease in PostgreSQL have in common. Each is one transaction, committed before
 * the call to Vault that it stands for, and each holds only from the state that it expects: whoever
 * ended the lease meanwhile has the last word. All times are the database's.
 */
final class LeaseSteps {

  /** The states of a lease that is out, or on its way. */
  static final String LIVE = "state IN ('intent', 'open', 'active')";

  private final JdbcTemplate template;
  private final JdbcClient jdbc;
  private final TransactionOperations transactions;

  LeaseSteps(DataSource dataSource, TransactionOperations transactions) {
    this.template = new JdbcTemplate(dataSource);
    this.jdbc = JdbcClient.create(template);
    this.transactions = transactions;
  }

  JdbcClient.StatementSpec sql(String statement) {
    return jdbc.sql(statement);
  }

  /**
   * Does one step.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     take it
   */
  <T> T inTransaction(Supplier<T> work) {
    return inTransaction(status -> work.get());
  }

  /** The same, for a step that may want to be rolled back. */
  <T> T inTransaction(Function<TransactionStatus, T> work) {
    try {
      return transactions.execute(work::apply);
    } catch (DataAccessException | TransactionException e) {
      throw unavailable(e);
    }
  }

  /** Adds a record to the step under way. */
  void write(AuditRecord record) {
    template.execute(
        (ConnectionCallback<Boolean>)
            connection -> {
              TransactionalAudit.record(connection, record);
              return true;
            });
  }

  /**
   * Adds a record to the step under way, if the stop epoch is still this one.
   *
   * @return whether it is; if not, the step must be rolled back
   */
  boolean writeUnder(long epoch, AuditRecord record) {
    return Boolean.TRUE.equals(
        template.execute(
            (ConnectionCallback<Boolean>)
                connection -> TransactionalAudit.recordUnder(connection, record, epoch)));
  }

  static RefusedException unavailable(RuntimeException e) {
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "The database did not take the lease: " + e.getClass().getSimpleName());
  }
}
