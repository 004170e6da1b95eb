package io.valetkey.broker.upstream;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;

/**
 * The source of a credential did not answer, so nothing new is known about the credential. Only
 * this kind of failure lets a value that was read before live on for its grace.
 */
public final class SourceAwayException extends RefusedException {

  private static final long serialVersionUID = 1L;

  /**
   * Makes the refusal.
   *
   * @param detail names the reference and what was waited for; never the value
   */
  public SourceAwayException(String detail) {
    super(ProblemCode.CREDENTIAL_UNAVAILABLE, detail);
  }
}
