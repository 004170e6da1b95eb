package io.valetkey.broker.control;

import io.valetkey.broker.evidence.AuditVerification;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.SQLException;
import java.time.Instant;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/** Verifies the audit trail for one person at a time: it reads everything in its range. */
public final class TrailVerification {

  private final AuditVerifier verifier;
  private final Semaphore one = new Semaphore(1);

  /** Verifies by this verifier. */
  public TrailVerification(AuditVerifier verifier) {
    this.verifier = verifier;
  }

  /**
   * Verifies a part of the trail.
   *
   * @param since from this time on; null for the beginning
   * @param until before this time; null for up to now
   * @throws RefusedException {@link ProblemCode#RATE_LIMITED} while somebody else is being answered
   * @throws SQLException if the database does not answer
   */
  public AuditVerification verify(@Nullable Instant since, @Nullable Instant until)
      throws SQLException {
    if (!one.tryAcquire()) {
      throw new RefusedException(
          ProblemCode.RATE_LIMITED, "This replica is verifying for somebody else already.");
    }
    try {
      return verifier.verify(since, until);
    } finally {
      one.release();
    }
  }
}
