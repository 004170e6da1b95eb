package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.vault.VaultException;
import org.springframework.web.client.RestClientException;

/**
 * Hands out one dynamic credential so that a crash at any moment leaves none that cannot be taken
 * back: record before asking, an owner token that ends by itself, and a longer life only when
 * everything is on record.
 *
 * <p>Killed after step 1, there is nothing at Vault. After 2, there is a token without leases that
 * ends by itself. After 3 and 4, there is a credential whose owner is recorded: the {@link Reaper}
 * ends it, or it ends by itself within a minute. After 5 and 6, the agent asks again with the same
 * key, which ends this lease and makes another.
 */
final class IssueLease {

  private static final Logger log = LoggerFactory.getLogger(IssueLease.class);

  private final LeaseDecisions decisions;
  private final LeaseStore store;
  private final LeaseVault vault;
  private final Reaper reaper;

  IssueLease(Access access, LeaseStore store, LeaseVault vault, Reaper reaper) {
    this.decisions = new LeaseDecisions(access);
    this.store = store;
    this.vault = vault;
    this.reaper = reaper;
  }

  /**
   * Leases what is wished for.
   *
   * @param record the open audit record, which becomes durable together with the lease
   * @throws RefusedException with the true reason, if it is not to be had; the caller records it
   */
  HandedLease issue(LeaseWish wish, OpenRecord record) {
    Decision.Granted granted = decisions.require(wish.holder(), wish.destination(), wish.scope());
    String scope = granted.scopes().getFirst();
    LeaseSource source = LeaseSource.of(granted.destination(), scope);
    if (wish.only() != null && wish.only() != source.engine()) {
      throw new RefusedException(
          ProblemCode.INVALID_TARGET, "The destination's credentials do not have this form");
    }
    UUID id = UUID.randomUUID();
    record.agent(granted.agent()).destination(wish.destination()).scopes(scope);
    record.detail("lease", id.toString()).detail("engine", source.engine().word());
    store.intend(id, wish.holder(), granted.epoch(), scope, wish.key(), source); // 1
    boolean handedOut = false;
    try {
      HandedLease handed = handOut(id, wish, scope, granted.epoch(), source, record);
      handedOut = true;
      return handed;
    } catch (VaultException | RestClientException | IllegalStateException e) {
      throw refusal(id, e);
    } finally {
      if (!handedOut) {
        end(id);
      }
    }
  }

  private HandedLease handOut(
      UUID id, LeaseWish wish, String scope, long epoch, LeaseSource source, OpenRecord record) {
    OwnerToken owner = vault.createOwner(id, source); // 2
    if (!store.open(id, owner.accessor())) { // 3
      throw new RefusedException(
          ProblemCode.STOPPED, "The lease was ended while it was being handed out");
    }
    VaultCredential credential = vault.read(owner, source); // 4
    Duration life = least(credential.life(), source.maxTtl());
    if (life.isZero()) {
      throw new IllegalStateException("Vault's credential ends at once");
    }
    record.detail("life_seconds", life.toSeconds());
    Lease lease =
        decisions.settle(
            wish.holder(),
            wish.destination(),
            scope,
            epoch,
            under ->
                store.activate(
                    id, credential, life, under, record.completed(Outcome.GRANTED, null))); // 5
    vault.prolong(owner.accessor(), LeaseVault.ownerLife(life)); // 6
    return new HandedLease(lease, credential.credential());
  }

  static Duration least(Duration a, Duration b) {
    return a.compareTo(b) <= 0 ? a : b;
  }

  /** If the database is away too, the row ends by its deadline and the owner token by its life. */
  private void end(UUID id) {
    try {
      store.requestEnd(id, EndReason.ABANDONED, null);
      reaper.wake();
    } catch (RefusedException e) {
      log.warn("Lease {} is left to its deadline: {}", id, e.detail());
    }
  }

  private static RefusedException refusal(UUID id, RuntimeException failure) {
    String said = LeaseVault.said(failure);
    log.warn("Lease {} could not be handed out: {}", id, said);
    return new RefusedException(ProblemCode.CREDENTIAL_UNAVAILABLE, "Vault gave none: " + said);
  }
}
