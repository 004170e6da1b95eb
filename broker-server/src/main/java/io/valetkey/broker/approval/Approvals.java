package io.valetkey.broker.approval;

import java.time.Clock;
import javax.sql.DataSource;
import org.springframework.transaction.support.TransactionOperations;

/** The parts that deal with approvals, made together on one database. */
public final class Approvals {

  private final ApprovalStore store;
  private final ApprovalDecisions decisions;
  private final ApprovalBook book;

  /** Makes them. */
  public Approvals(DataSource dataSource, TransactionOperations transactions, Clock clock) {
    ApprovalSteps steps = new ApprovalSteps(dataSource, transactions, clock);
    this.store = new ApprovalStore(steps);
    this.decisions = new ApprovalDecisions(steps);
    this.book = new ApprovalBook(steps);
  }

  /** The agent's side. */
  public ApprovalStore store() {
    return store;
  }

  /** The people's side. */
  public ApprovalDecisions decisions() {
    return decisions;
  }

  /** What there is to read. */
  public ApprovalBook book() {
    return book;
  }
}
