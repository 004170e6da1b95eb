package io.valetkey.broker.lease;

import java.util.Locale;

/**
 * Where a lease stands. It moves down this list, with one way back: what was taken for gone while
 * it was being made is pending again if a credential turns up after all.
 */
public enum LeaseState {
  /** Recorded; nothing was asked of Vault under this lease that could outlive a minute. */
  INTENT,

  /** Its owner token exists; a credential may exist. */
  OPEN,

  /** The credential exists and was recorded; from here on it may leave. */
  ACTIVE,

  /** It must go, and is not known to be gone. */
  REVOKE_PENDING,

  /** As {@link #REVOKE_PENDING}, for longer than the bound: somebody must look. Tries go on. */
  IRREVOCABLE,

  /** Gone, as far as Vault can tell. */
  REVOKED;

  /** The word on the wire and in the database. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }

  static LeaseState of(String word) {
    return valueOf(word.toUpperCase(Locale.ROOT));
  }
}
