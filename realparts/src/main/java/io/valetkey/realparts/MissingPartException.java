package io.valetkey.realparts;

/** A real part cannot be had on this machine; the message says why, for people. */
public final class MissingPartException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  MissingPartException(String reason) {
    super(reason);
  }
}
