package io.valetkey.broker.problem;

/**
 * A refusal on its way to the edge. It carries the true reason, which the audit record keeps; what
 * the wire says is the endpoint's decision. It has no stack trace: refusals are ordinary and
 * frequent.
 */
public class RefusedException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  private final ProblemCode code;
  private final int retryAfterSeconds;

  /**
   * Makes a refusal.
   *
   * @param code why
   * @param detail one sentence for the audit record; never a secret, never a token
   */
  public RefusedException(ProblemCode code, String detail) {
    this(code, detail, 1);
  }

  /**
   * The same, of what is known to be so for a while.
   *
   * @param retryAfterSeconds when to try again, where the code says that trying again is worth it
   */
  public RefusedException(ProblemCode code, String detail, int retryAfterSeconds) {
    super(detail, null, false, false);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Why. */
  public ProblemCode code() {
    return code;
  }

  /** When to try again, where the code says that trying again is worth it. */
  public int retryAfterSeconds() {
    return retryAfterSeconds;
  }

  /** One sentence for the audit record. */
  public String detail() {
    return String.valueOf(getMessage());
  }
}
