package io.valetkey.broker.approval;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/** The people's side of approvals: saying yes or no to a request that they were shown. */
public final class ApprovalDecisions {

  private final ApprovalSteps steps;
  private final AtomicLong approved = new AtomicLong();
  private final AtomicLong denied = new AtomicLong();

  ApprovalDecisions(ApprovalSteps steps) {
    this.steps = steps;
  }

  /**
   * Approves a request; from now on it can be sent once.
   *
   * @param requestHash the hash of what was shown
   * @param reason in their words
   * @param by who
   * @throws RefusedException {@link ProblemCode#NOT_FOUND} if there is none, {@link
   *     ProblemCode#CONFLICT} if it is another request or does not wait any more, {@link
   *     ProblemCode#FORBIDDEN} if it is their own
   */
  public Approval approve(UUID id, String requestHash, String reason, String by) {
    Approval decided =
        decide(
            id,
            "state = 'approved', expires_at = clock_timestamp() + a.valid_seconds * interval '1"
                + " second'",
            "approval.approve",
            requestHash,
            reason,
            by);
    approved.incrementAndGet();
    return decided;
  }

  /**
   * Denies a request; the same one is refused until this has expired.
   *
   * @param requestHash the hash of what was shown
   * @throws RefusedException as for {@link #approve}
   */
  public Approval deny(UUID id, String requestHash, String reason, String by) {
    Approval decided =
        decide(
            id,
            "state = 'denied', body = NULL, fields = NULL, ended_at = clock_timestamp(), expires_at"
                + " = clock_timestamp() + a.valid_seconds * interval '1 second'",
            "approval.deny",
            requestHash,
            reason,
            by);
    denied.incrementAndGet();
    return decided;
  }

  private Approval decide(
      UUID id, String becomes, String action, String requestHash, String reason, String by) {
    return steps.inTransaction(status -> {
      Optional<Approval> decided =
          steps
              .sql(
                  "UPDATE approval a SET "
                      + becomes
                      + ", decided_by = :by, decided_at = clock_timestamp(), reason = :reason"
                      + " WHERE a.id = :id AND a.request_hash = :hash AND a.state = 'pending' AND"
                      + " a.subject <> :by AND approval_stands(a) RETURNING "
                      + ApprovalRows.COLUMNS)
              .param("by", by)
              .param("reason", reason)
              .param("id", id)
              .param("hash", HexFormat.of().parseHex(requestHash))
              .query(ApprovalRows::read)
              .optional();
      Approval now = decided.orElseThrow(() -> whyNot(id, requestHash, by));
      steps.write(steps.record(action, now, by, reason));
      steps.tell();
      return now;
    });
  }

  private RefusedException whyNot(UUID id, String requestHash, String by) {
    Optional<Approval> found =
        steps
            .sql("SELECT " + ApprovalRows.COLUMNS + " FROM approval a WHERE a.id = ?")
            .param(id)
            .query(ApprovalRows::read)
            .optional();
    if (found.isEmpty()) {
      return new RefusedException(ProblemCode.NOT_FOUND, "There is no such approval.");
    }
    Approval approval = found.get();
    if (!approval.requestHash().equals(requestHash)) {
      return new RefusedException(
          ProblemCode.CONFLICT, "The hash is that of another request: look at this one first.");
    }
    if (approval.subject().equals(by)) {
      return new RefusedException(ProblemCode.FORBIDDEN, "Nobody decides about their own request.");
    }
    return new RefusedException(
        ProblemCode.CONFLICT,
        "It does not wait for a decision: it is " + approval.state().word() + ".");
  }

  /** How many were approved by this replica since it started. */
  public long approved() {
    return approved.get();
  }

  /** How many were denied by this replica since it started. */
  public long denied() {
    return denied.get();
  }
}
