package io.valetkey.broker.lease;

import io.valetkey.broker.access.Decision;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.VaultConnection;
import java.time.Duration;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
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
  private final LeaseHandouts handouts;
  private final LeaseVault vault;
  private final Reaper reaper;

  IssueLease(LeaseDecisions decisions, LeaseHandouts handouts, LeaseVault vault, Reaper reaper) {
    this.decisions = decisions;
    this.handouts = handouts;
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
    handouts.intend(id, wish.holder(), granted.epoch(), scope, wish.key(), source); // 1
    var attempt = new Attempt(id, wish, granted, source, record);
    try {
      return attempt.run();
    } catch (VaultException | RestClientException | IllegalStateException e) {
      throw refusal(id, e);
    } finally {
      attempt.abandonUnlessDone();
    }
  }

  /** One lease on its way to the agent, and what is known of its credential at each moment. */
  private final class Attempt {

    private final UUID id;
    private final LeaseWish wish;
    private final Decision.Granted granted;
    private final LeaseSource source;
    private final OpenRecord record;
    private @Nullable VaultCredential credential;
    private boolean asking;
    private boolean done;

    Attempt(
        UUID id, LeaseWish wish, Decision.Granted granted, LeaseSource source, OpenRecord record) {
      this.id = id;
      this.wish = wish;
      this.granted = granted;
      this.source = source;
      this.record = record;
    }

    HandedLease run() {
      OwnerToken owner = vault.createOwner(id, source); // 2
      if (!handouts.open(id, owner.accessor())) { // 3
        throw new RefusedException(
            ProblemCode.STOPPED, "The lease was ended while it was being handed out");
      }
      VaultCredential made = ask(owner); // 4
      LeasedCredential members = made.credential();
      Duration life = least(made.life(), least(source.maxTtl(), granted.ttl()));
      if (!life.isPositive()) {
        throw new IllegalStateException("Vault's credential ends at once");
      }
      record.detail("life_seconds", life.toSeconds());
      Lease lease =
          decisions.settle(
              wish.holder(),
              granted,
              source,
              under ->
                  handouts.activate(
                      id, made, life, under, record.completed(Outcome.GRANTED, null))); // 5
      vault.prolong(owner.accessor(), LeaseVault.ownerLife(life)); // 6
      done = true;
      return new HandedLease(lease, members);
    }

    private VaultCredential ask(OwnerToken owner) {
      asking = true;
      try {
        VaultCredential made = vault.read(owner, source);
        credential = made;
        asking = false;
        return made;
      } catch (VaultException e) {
        // Vault said no; without an answer it may still be making one.
        asking = VaultConnection.status(e) == 0;
        throw e;
      }
    }

    /**
     * If the database is away too, the row ends by its deadline and the owner token by its life.
     */
    void abandonUnlessDone() {
      if (done) {
        return;
      }
      try {
        VaultCredential made = credential;
        handouts.abandon(id, made, !asking);
        reaper.wake();
      } catch (RefusedException e) {
        log.warn("Lease {} is left to its deadline: {}", id, e.detail());
      }
    }
  }

  static Duration least(Duration a, Duration b) {
    return a.compareTo(b) <= 0 ? a : b;
  }

  private static RefusedException refusal(UUID id, RuntimeException failure) {
    String said = LeaseVault.said(failure);
    log.warn("Lease {} could not be handed out: {}", id, said);
    return new RefusedException(ProblemCode.CREDENTIAL_UNAVAILABLE, "Vault gave none: " + said);
  }
}
