package io.valetkey.broker.lease;

import java.util.Locale;

/** Why a lease ends. */
public enum EndReason {
  /** Its agent gave it back. */
  RELEASED,
  /** Its agent asked again with the same key: the earlier answer may have been lost. */
  REPLACED,
  /** Its time is over. */
  EXPIRED,
  /** A stop of its agent, destination, issuer, token or of everything. */
  STOPPED,
  /** The policy does not grant it any more. */
  WITHDRAWN,
  /** It was being handed out and that did not come to its end. */
  ABANDONED,
  /** Vault does not have it any more, without our doing. */
  LOST;

  /** The word in the database and the audit trail. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
