package io.valetkey.broker.lease;

import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import org.springframework.vault.VaultException;
import org.springframework.web.client.RestClientException;

/**
 * Makes a lease live longer, if its agent may still have it. Vault is asked first and our record
 * follows: after a crash between the two we end the lease at the time that we know, early rather
 * than late.
 */
final class RenewLease {

  private final LeaseDecisions decisions;
  private final LeaseHandouts handouts;
  private final LeaseVault vault;
  private final Clock clock;

  RenewLease(LeaseDecisions decisions, LeaseHandouts handouts, LeaseVault vault, Clock clock) {
    this.decisions = decisions;
    this.handouts = handouts;
    this.vault = vault;
    this.clock = clock;
  }

  /**
   * Renews an active lease.
   *
   * @param holder who asks
   * @param lease a lease of this holder's agent and destination
   * @throws RefusedException with the true reason; {@link ProblemCode#CONFLICT} if it has ended or
   *     cannot be renewed
   */
  Lease renew(Holder holder, Lease lease, OpenRecord record) {
    Decision.Granted granted = decisions.require(holder, lease.destination(), lease.scope());
    // The lease as well as whoever asks: it may have been had through what was stopped since.
    LeaseSource source = decisions.requireKept(lease);
    if (lease.state() != LeaseState.ACTIVE) {
      throw new RefusedException(ProblemCode.CONFLICT, "The lease has ended: ask for a new one.");
    }
    String vaultLease = lease.vaultLeaseId();
    Duration left =
        IssueLease.least(Duration.between(clock.instant(), lease.maxExpiresAt()), granted.ttl());
    if (vaultLease == null || !lease.renewable() || left.toSeconds() < 1) {
      throw new RefusedException(
          ProblemCode.CONFLICT, "The lease cannot be renewed: ask for a new one.");
    }
    try {
      Duration life = IssueLease.least(vault.renew(vaultLease, left), left);
      vault.prolong(Objects.requireNonNull(lease.accessor()), LeaseVault.ownerLife(life));
      record.detail("life_seconds", life.toSeconds());
      return decisions.settle(
          holder,
          granted,
          source,
          under ->
              handouts.extend(lease.id(), life, under, record.completed(Outcome.GRANTED, null)));
    } catch (VaultException | RestClientException | IllegalStateException e) {
      throw new RefusedException(
          ProblemCode.CREDENTIAL_UNAVAILABLE, "Vault did not renew: " + LeaseVault.said(e));
    }
  }
}
