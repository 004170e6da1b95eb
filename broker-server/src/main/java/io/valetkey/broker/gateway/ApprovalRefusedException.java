package io.valetkey.broker.gateway;

import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.approval.Standing;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;

/** A request that is allowed, and that nobody has approved. */
final class ApprovalRefusedException extends RefusedException {

  private static final long serialVersionUID = 1L;

  private final transient Standing standing;

  ApprovalRefusedException(Standing standing) {
    super(
        standing.state() == ApprovalState.DENIED
            ? ProblemCode.APPROVAL_DENIED
            : ProblemCode.APPROVAL_REQUIRED,
        "approval " + standing.id() + " is " + standing.state().word());
    this.standing = standing;
  }

  Standing standing() {
    return standing;
  }
}
