package io.valetkey.broker.problem;

/**
 * A refusal on its way to the edge. It carries the true reason, which the audit record keeps; what
 * the wire says is the endpoint's decision. It has no stack trace: refusals are ordinary and
 * frequent.
 */
public class RefusedException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final ProblemCode code;

  /**
   * Makes a refusal.
   *
   * @param code why
   * @param detail one sentence for the audit record; never a secret, never a token
   */
  public RefusedException(ProblemCode code, String detail) {
    super(detail, null, false, false);
    this.code = code;
  }

  /** Why. */
  public ProblemCode code() {
    return code;
  }

  /** One sentence for the audit record. */
  public String detail() {
    return String.valueOf(getMessage());
  }
}
