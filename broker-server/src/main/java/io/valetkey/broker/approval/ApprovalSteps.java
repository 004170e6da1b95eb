package io.valetkey.broker.approval;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.jdbc.core.ConnectionCallback;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionOperations;

/**
 * What the steps of an approval in PostgreSQL have in common: each is one transaction, with its
 * audit record in it. All times but those of the records are the database's.
 */
final class ApprovalSteps {

  private final JdbcTemplate template;
  private final JdbcClient jdbc;
  private final TransactionOperations transactions;
  private final Clock clock;

  ApprovalSteps(DataSource dataSource, TransactionOperations transactions, Clock clock) {
    this.template = new JdbcTemplate(dataSource);
    this.jdbc = JdbcClient.create(template);
    this.transactions = transactions;
    this.clock = clock;
  }

  JdbcClient.StatementSpec sql(String statement) {
    return jdbc.sql(statement);
  }

  /**
   * Reads.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     answer
   */
  <T> T reading(Supplier<T> work) {
    try {
      return work.get();
    } catch (DataAccessException e) {
      throw unavailable(e);
    }
  }

  /**
   * Does one step.
   *
   * @throws RefusedException {@link ProblemCode#TEMPORARILY_UNAVAILABLE} if the database does not
   *     take it
   */
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

  /** Tells every replica, once the step is committed. */
  void tell() {
    template.execute("NOTIFY " + ChangeFeed.CHANNEL);
  }

  /**
   * What happened to an approval, for the audit trail.
   *
   * @param actor who did it; null for the agent and for time
   * @param why the reason they gave
   */
  AuditRecord record(
      String action, Approval approval, @Nullable String actor, @Nullable String why) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    Map<String, Object> details = new HashMap<>();
    details.put("approval", approval.id().toString());
    details.put("request_hash", approval.requestHash());
    details.put("method", approval.method());
    // Not the query, which may hold anything.
    details.put("url", approval.url().replaceFirst("[?].*", ""));
    if (actor != null) {
      details.put("actor", actor);
    }
    if (why != null) {
      details.put("reason", why);
    }
    return new AuditRecord(
        now,
        DecisionId.at(now),
        action,
        Outcome.GRANTED,
        null,
        approval.agent(),
        approval.issuer(),
        approval.subject(),
        approval.destination(),
        approval.scope(),
        approval.jti(),
        details);
  }

  private static RefusedException unavailable(RuntimeException e) {
    return new RefusedException(
        ProblemCode.TEMPORARILY_UNAVAILABLE,
        "The store of approvals did not answer: " + e.getClass().getSimpleName());
  }
}
