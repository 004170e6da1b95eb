package io.valetkey.broker.lease;

import io.valetkey.broker.access.Decision;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends what must not be out any more: expired, abandoned, stopped and withdrawn leases. Every
 * issuing replica has one; they share the work by what they claim, and one that is left does it
 * all.
 *
 * <p>Three threads that never wait for one another: one orders what must end and raises the alarm
 * for what has not, one tries, one compares with Vault. A target that hangs costs turns and delays
 * neither an order nor an alarm.
 */
public final class Reaper implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Reaper.class);
  private static final Duration INTERVAL = Duration.ofSeconds(1);
  private static final Duration FULL_CHECK = Duration.ofSeconds(10);

  private final LeaseEndings endings;
  private final LeaseBook book;
  private final EndLease endLease;
  private final Reconciler reconciler;
  private final LeaseDecisions decisions;
  private final Semaphore turns;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicBoolean viewsChanged = new AtomicBoolean(true);
  private final Rounds ordering = new Rounds("lease-orders", INTERVAL, this::order);
  private final Rounds ending = new Rounds("lease-reaper", INTERVAL, this::end);
  private final Rounds comparing;
  private volatile LeaseBook.Counts counts = new LeaseBook.Counts(0, 0, 0, 0);
  private long nextFullCheck = System.nanoTime();

  /** Makes one that begins with {@link #start()}. */
  Reaper(
      LeaseEndings endings,
      LeaseBook book,
      EndLease endLease,
      Reconciler reconciler,
      LeaseDecisions decisions,
      int parallel) {
    this.endings = endings;
    this.book = book;
    this.endLease = endLease;
    this.reconciler = reconciler;
    this.decisions = decisions;
    this.turns = new Semaphore(parallel);
    this.comparing = new Rounds("lease-reconciler", Reconciler.INTERVAL, reconciler::look);
  }

  /** Begins to work; every view must be complete. */
  public void start() {
    ordering.start();
    ending.start();
    comparing.start();
  }

  /** What is out, as of the last round. */
  public LeaseBook.Counts counts() {
    return counts;
  }

  /** How many leases Vault has of our roles that we know nothing of; -1 if that is not known. */
  public int unknownLeases() {
    return reconciler.unknown();
  }

  /** There is something to end: begins now. */
  void wake() {
    ending.wake();
  }

  /** Stops or the policy have changed: looks at every lease again, now. */
  public void viewsChanged() {
    viewsChanged.set(true);
    ordering.wake();
  }

  private void order() {
    int ordered = endings.requestOverdue();
    if (viewsChanged.getAndSet(false) || System.nanoTime() - nextFullCheck > 0) {
      ordered += orderWhatDoesNotStand();
    }
    if (ordered > 0) {
      ending.wake();
    }
    endLease.raiseAlarms();
    counts = book.counts();
  }

  /** A view that is too old ends nothing; then, and if anything fails, all is looked at again. */
  private int orderWhatDoesNotStand() {
    boolean complete = false;
    int ordered = 0;
    try {
      boolean decided = true;
      for (Lease lease : book.live()) {
        switch (decisions.kept(lease)) {
          case Decision.Granted _ -> {}
          case Decision.Undecidable _ -> decided = false;
          case Decision.Refused(ProblemCode code, String _, int _) -> {
            boolean stopped = code == ProblemCode.STOPPED;
            var reason = stopped ? EndReason.STOPPED : EndReason.WITHDRAWN;
            ordered += endings.requestEnd(lease.id(), reason) ? 1 : 0;
          }
        }
      }
      complete = decided;
      return ordered;
    } finally {
      if (complete) {
        nextFullCheck = System.nanoTime() + FULL_CHECK.toNanos();
      } else {
        viewsChanged.set(true);
      }
      if (ordered > 0) {
        ending.wake();
      }
    }
  }

  /** Takes as many as there are free turns, and does not wait for those under way. */
  private void end() throws InterruptedException {
    List<Lease> claimed;
    do {
      turns.acquire();
      int free = 1 + turns.drainPermits();
      claimed = List.of();
      try {
        claimed = endings.claim(free);
      } finally {
        turns.release(free - claimed.size());
      }
      for (Lease lease : claimed) {
        workers.execute(() -> attempt(lease));
      }
    } while (!claimed.isEmpty());
  }

  private void attempt(Lease lease) {
    try {
      var _ = endLease.attempt(lease);
    } catch (RefusedException e) {
      log.warn("The end of lease {} is not recorded yet: {}", lease.id(), e.detail());
    } catch (RuntimeException e) {
      log.error("Ending lease {} failed and is tried again", lease.id(), e);
    } finally {
      turns.release();
    }
  }

  /** Ends the work; what was claimed goes back by itself. */
  @Override
  public void close() {
    ordering.close();
    ending.close();
    comparing.close();
    workers.shutdownNow();
  }
}
