package io.valetkey.broker.lease;

import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.vault.VaultException;
import org.springframework.web.client.RestClientException;

/**
 * Compares what we believe is out with Vault's own list. A lease of ours that Vault no longer has
 * was taken back behind our back, and is recorded as ended. One of Vault's that we do not know is
 * told as a number and in the log, never ended: somebody else may use the same role.
 */
final class Reconciler {

  private static final Logger log = LoggerFactory.getLogger(Reconciler.class);

  /** How often to look. */
  static final Duration INTERVAL = Duration.ofMinutes(1);

  /** A lease that is being handed out or has just ended stands in one list only. */
  private static final Duration SETTLED = Duration.ofSeconds(90);

  private final LeaseBook book;
  private final LeaseEndings endings;
  private final LeaseVault vault;
  private final Clock clock;
  private final Map<String, Long> strangers = new HashMap<>();
  private volatile int unknown;
  private boolean forbiddenSaid;

  Reconciler(LeaseBook book, LeaseEndings endings, LeaseVault vault, Clock clock) {
    this.book = book;
    this.endings = endings;
    this.vault = vault;
    this.clock = clock;
  }

  /** How many leases of our roles we know nothing of; -1 if that is not known. */
  int unknown() {
    return unknown;
  }

  /** Looks now. Called by one thread. */
  void look() {
    try {
      Set<String> found = new HashSet<>();
      boolean complete = true;
      for (LeaseBook.Source source : book.sources()) {
        Set<String> atVault = vault.list(source.engine(), source.mount(), source.role());
        if (atVault == null) {
          complete = false;
          sayForbidden(source);
        } else {
          found.addAll(compare(book.outOf(source), atVault));
        }
      }
      unknown = complete ? settledStrangers(found) : -1;
    } catch (VaultException | RestClientException | RefusedException e) {
      unknown = -1;
      log.warn("Leases could not be compared with Vault: {}", LeaseVault.said(e));
    }
  }

  private Set<String> compare(List<Lease> ours, Set<String> atVault) {
    Set<String> strange = new HashSet<>(atVault);
    for (Lease lease : ours) {
      String id = lease.vaultLeaseId();
      if (id == null || strange.remove(id) || lease.state() != LeaseState.ACTIVE) {
        continue;
      }
      String accessor = lease.accessor();
      boolean settled = lease.createdAt().isBefore(clock.instant().minus(SETTLED));
      if (settled && accessor != null) {
        log.warn("Lease {} is not at Vault any more, without our doing", lease.id());
        var _ = endings.requestEnd(lease.id(), EndReason.LOST);
      }
    }
    return strange;
  }

  /** Those that were strangers for long enough to be no lease on its way in or out. */
  private int settledStrangers(Set<String> found) {
    long now = System.nanoTime();
    strangers.keySet().retainAll(found);
    found.forEach(id -> strangers.putIfAbsent(id, now));
    Set<String> settled =
        strangers.entrySet().stream()
            .filter(entry -> now - entry.getValue() > SETTLED.toNanos())
            .map(Map.Entry::getKey)
            .collect(Collectors.toSet());
    if (settled.size() > unknown) {
      log.warn("Vault has {} leases of our roles that we did not hand out", settled.size());
    }
    return settled.size();
  }

  private void sayForbidden(LeaseBook.Source source) {
    if (!forbiddenSaid) {
      forbiddenSaid = true;
      log.warn(
          "Leases are not compared with Vault's list: listing sys/leases/lookup/{}/… needs the"
              + " capabilities list and sudo",
          source.mount());
    }
  }
}
