package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.VaultConnection;
import java.net.InetAddress;
import java.time.Clock;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Predicate;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.transaction.support.TransactionOperations;

/** Everything that can be done with leases, put together. */
public final class Leases implements AutoCloseable {

  private final LeaseBook book;
  private final LeaseStore store;
  private final IssueLease issueLease;
  private final RenewLease renewLease;
  private final Reaper reaper;
  private final LeaseSelfTest selfTest;
  private final @Nullable VaultConnection vault;

  /**
   * Puts the parts together; nothing runs before {@link Reaper#start()}.
   *
   * @param transactions transactions on the data source, read committed, with a time-out
   * @param vault a connection for leases alone, which belongs to them from here on; null if there
   *     is no Vault
   * @param targets which addresses a self-test may connect to
   */
  public Leases(
      DataSource dataSource,
      TransactionOperations transactions,
      @Nullable VaultConnection vault,
      LeaseSettings settings,
      Access access,
      Predicate<InetAddress> targets,
      Clock clock) {
    this.vault = vault;
    this.book = new LeaseBook(dataSource);
    this.store = new LeaseStore(dataSource, transactions);
    var leaseVault = new LeaseVault(vault, settings);
    var endLease = new EndLease(store, leaseVault, settings.revocationBound(), clock);
    this.selfTest = new LeaseSelfTest(store, leaseVault, endLease, new TargetProbe(targets));
    this.reaper =
        new Reaper(
            store,
            book,
            endLease,
            new Reconciler(book, store, leaseVault, clock),
            access,
            settings.parallelRevocations());
    this.issueLease = new IssueLease(access, store, leaseVault, reaper);
    this.renewLease = new RenewLease(access, store, leaseVault, clock);
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
    if (store.requestEnd(lease.id(), EndReason.RELEASED, record.completed(Outcome.GRANTED, null))) {
      var _ = reaper.endNow(lease.id());
      reaper.wake();
    }
    return book.find(lease.id()).orElse(lease);
  }

  /** Ends the work, not the leases. */
  @Override
  public void close() {
    reaper.close();
    if (vault != null) {
      vault.close();
    }
  }
}
