package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.VaultConnection;
import java.net.InetAddress;
import java.time.Clock;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BiPredicate;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.transaction.support.TransactionOperations;

/** Everything that can be done with leases, put together. */
public final class Leases implements AutoCloseable {

  private final LeaseBook book;
  private final LeaseEndings endings;
  private final IssueLease issueLease;
  private final RenewLease renewLease;
  private final EndLease endLease;
  private final Reaper reaper;
  private final LeaseSelfTest selfTest;
  private final @Nullable Vaults vaults;

  /**
   * Two connections to the same Vault, each with turns of its own: however many ask for leases,
   * they do not keep others from being taken back.
   */
  public record Vaults(VaultConnection making, VaultConnection ending) {}

  /**
   * Puts the parts together; nothing runs before {@link Reaper#start()}.
   *
   * @param transactions transactions on the data source, read committed, with a time-out
   * @param connections for what must be told when the common pool is full
   * @param vaults which belong to the leases from here on; null if there is no Vault
   * @param targets which addresses and ports a self-test may connect to
   */
  public Leases(
      DataSource dataSource,
      Connections connections,
      TransactionOperations transactions,
      @Nullable Vaults vaults,
      LeaseSettings settings,
      Access access,
      BiPredicate<InetAddress, Integer> targets,
      Clock clock) {
    this.vaults = vaults;
    this.book = new LeaseBook(dataSource, connections);
    var steps = new LeaseSteps(dataSource, transactions);
    var handouts = new LeaseHandouts(steps);
    this.endings = new LeaseEndings(steps);
    var decisions = new LeaseDecisions(access);
    var making = new LeaseVault(vaults == null ? null : vaults.making(), settings);
    var ending = new LeaseVault(vaults == null ? null : vaults.ending(), settings);
    this.endLease = new EndLease(endings, ending, settings.revocationBound(), clock);
    this.selfTest = new LeaseSelfTest(handouts, making, endLease, new TargetProbe(targets));
    this.reaper =
        new Reaper(
            endings,
            book,
            endLease,
            new Reconciler(book, endings, ending, clock),
            decisions,
            settings.parallelRevocations());
    this.issueLease = new IssueLease(decisions, handouts, making, reaper);
    this.renewLease = new RenewLease(decisions, handouts, making, clock);
  }

  /** Ends what must not be out any more. */
  public Reaper reaper() {
    return reaper;
  }

  /** Tries a destination out. */
  public LeaseSelfTest selfTest() {
    return selfTest;
  }

  /** What is out. */
  public LeaseBook book() {
    return book;
  }

  /** The lease with this id. */
  public Optional<Lease> find(UUID id) {
    return book.find(id);
  }

  /**
   * Hands one out.
   *
   * @param record the open audit record, which becomes durable together with the lease
   * @throws RefusedException with the true reason; the caller records it
   */
  public HandedLease issue(LeaseWish wish, OpenRecord record) {
    return issueLease.issue(wish, record);
  }

  /**
   * Makes one live longer.
   *
   * @throws RefusedException with the true reason; the caller records it
   */
  public Lease renew(Holder holder, Lease lease, OpenRecord record) {
    return renewLease.renew(holder, lease, record);
  }

  /**
   * Takes one back from its agent: the order is durable, and carried out at once if Vault answers.
   *
   * @return the lease as it is then; without a new order if it had ended before
   */
  public Lease release(Lease lease, OpenRecord record) {
    endings
        .requestAndClaim(lease.id(), EndReason.RELEASED, record.completed(Outcome.GRANTED, null))
        .ifPresent(endLease::attempt);
    return book.find(lease.id()).orElse(lease);
  }

  /** Ends the work, not the leases. */
  @Override
  public void close() {
    reaper.close();
    if (vaults != null) {
      vaults.making().close();
      vaults.ending().close();
    }
  }
}
