package io.valetkey.broker.lease;

import java.time.Duration;

/**
 * How leases are made at Vault and how long ending one may take.
 *
 * @param tokenRole the token role of Vault that makes owner tokens: orphans, renewable
 * @param ownerPolicy the policy of an owner token; <code>{mount}</code> and <code>{role}</code>
 *     stand for those of the destination, slashes written as dashes
 * @param revocationBound after this time without success a lease that must go counts as
 *     irrevocable, which is an alarm
 * @param parallelRevocations how many leases one replica ends at once
 */
public record LeaseSettings(
    String tokenRole, String ownerPolicy, Duration revocationBound, int parallelRevocations) {

  /**
   * The life that an owner token is born with: whatever is left behind by a crash before its lease
   * was recorded ends by itself after it.
   */
  static final Duration BIRTH_LIFE = Duration.ofSeconds(60);

  /**
   * How long handing one out may take, from the record of the intent to the active lease. With the
   * 25 s that its last call may take after it at worst, turns and logins included ({@link
   * LeaseEndings}), it is less than the birth life.
   */
  static final Duration PATIENCE = Duration.ofSeconds(15);

  /** The name of the policy for the owner tokens of a source. */
  String policyFor(LeaseSource source) {
    return ownerPolicy
        .replace("{mount}", source.mount().replace('/', '-'))
        .replace("{role}", source.role());
  }
}
