package io.valetkey.broker.lease;

import java.time.Duration;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What Vault answered when it was asked for a credential. */
final class VaultCredential {

  private final @Nullable String leaseId;
  private final Duration life;
  private final boolean renewable;
  private final boolean revocable;
  private final Supplier<LeasedCredential> credential;

  VaultCredential(
      @Nullable String leaseId,
      Duration life,
      boolean renewable,
      boolean revocable,
      Supplier<LeasedCredential> credential) {
    this.leaseId = leaseId;
    this.life = life;
    this.renewable = renewable;
    this.revocable = revocable;
    this.credential = credential;
  }

  /** Vault's id of the lease; null for an account that exists already. */
  @Nullable String leaseId() {
    return leaseId;
  }

  /** How long it lives as it is. */
  Duration life() {
    return life;
  }

  boolean renewable() {
    return renewable;
  }

  /** Whether ending the lease ends the credential. */
  boolean revocable() {
    return revocable;
  }

  /**
   * The credential itself.
   *
   * @throws IllegalStateException if a member is missing that must be there; names it, never shows
   *     one
   */
  LeasedCredential credential() {
    return credential.get();
  }
}
