package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends what must not be out any more: expired, abandoned, stopped and withdrawn leases. Every
 * issuing replica has one; they share the work by what they claim, and one that is left does it
 * all.
 */
public final class Reaper implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Reaper.class);
  private static final Duration INTERVAL = Duration.ofSeconds(1);
  private static final Duration FULL_CHECK = Duration.ofSeconds(30);
  private static final int BATCH = 64;

  private final LeaseStore store;
  private final LeaseBook book;
  private final EndLease endLease;
  private final Reconciler reconciler;
  private final Access access;
  private final Semaphore turns;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition woken = lock.newCondition();
  private final AtomicBoolean viewsChanged = new AtomicBoolean(true);
  private final Thread thread;
  private volatile boolean running = true;
  private volatile LeaseBook.Counts counts = new LeaseBook.Counts(0, 0, 0, 0);
  private boolean wanted;
  private long nextFullCheck = System.nanoTime();

  /** Makes one that begins with {@link #start()}. */
  Reaper(
      LeaseStore store,
      LeaseBook book,
      EndLease endLease,
      Reconciler reconciler,
      Access access,
      int parallel) {
    this.store = store;
    this.book = book;
    this.endLease = endLease;
    this.reconciler = reconciler;
    this.access = access;
    this.turns = new Semaphore(parallel);
    this.thread = Thread.ofPlatform().name("lease-reaper").daemon().unstarted(this::run);
  }

  /** Begins to work; every view must be complete. */
  public void start() {
    thread.start();
  }

  /** What is out, as of the last round. */
  public LeaseBook.Counts counts() {
    return counts;
  }

  /** How many leases Vault has of our roles that we know nothing of; -1 if we may not look. */
  public int unknownLeases() {
    return reconciler.unknown();
  }

  /** Begins a round now. */
  public void wake() {
    lock.lock();
    try {
      wanted = true;
      woken.signal();
    } finally {
      lock.unlock();
    }
  }

  /** Stops or the policy have changed: looks at every lease again, now. */
  public void viewsChanged() {
    viewsChanged.set(true);
    wake();
  }

  /**
   * Tries to end one lease at once, for a caller that waits.
   *
   * @return whether it is gone now
   */
  public boolean endNow(UUID id) {
    return store.claim(id).map(endLease::attempt).orElse(false);
  }

  private void run() {
    while (running) {
      try {
        round();
        awaitWork();
      } catch (RefusedException e) {
        log.warn("Leases have to wait: {}", e.detail());
        pause();
      } catch (InterruptedException e) {
        running = false;
      } catch (RuntimeException | Error e) {
        // Nobody else would end what must be ended.
        log.error("A round of ending leases failed and is tried again", e);
        pause();
      }
    }
  }

  private void awaitWork() throws InterruptedException {
    lock.lockInterruptibly();
    try {
      long left = INTERVAL.toNanos();
      while (!wanted && left > 0) {
        left = woken.awaitNanos(left);
      }
      wanted = false;
    } finally {
      lock.unlock();
    }
  }

  private void pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(INTERVAL.toMillis());
    } catch (InterruptedException e) {
      running = false;
    }
  }

  private void round() throws InterruptedException {
    var _ = store.requestOverdue();
    if (viewsChanged.getAndSet(false) || System.nanoTime() - nextFullCheck > 0) {
      nextFullCheck = System.nanoTime() + FULL_CHECK.toNanos();
      endWhatDoesNotStand();
    }
    List<Lease> claimed;
    do {
      claimed = store.claim(BATCH);
      attemptAll(claimed);
    } while (claimed.size() == BATCH && running);
    reconciler.lookIfDue();
    counts = book.counts();
  }

  /** A view that is too old ends nothing, and is looked at again when it is fresh. */
  private void endWhatDoesNotStand() {
    for (Lease lease : book.live()) {
      ProblemCode why = access.whyLeaseEnds(lease.holder(), lease.scope());
      if (why != null && why.status() == 503) {
        viewsChanged.set(true);
      } else if (why != null) {
        var reason = why == ProblemCode.STOPPED ? EndReason.STOPPED : EndReason.WITHDRAWN;
        var _ = store.requestEnd(lease.id(), reason, null);
      }
    }
  }

  private void attemptAll(List<Lease> leases) throws InterruptedException {
    List<Future<?>> attempts = new ArrayList<>();
    for (Lease lease : leases) {
      turns.acquire();
      attempts.add(
          workers.submit(() -> {
            try {
              attempt(lease);
            } finally {
              turns.release();
            }
          }));
    }
    for (Future<?> attempt : attempts) {
      try {
        attempt.get();
      } catch (ExecutionException e) {
        log.error("Ending a lease failed and is tried again", e.getCause());
      }
    }
  }

  private void attempt(Lease lease) {
    try {
      var _ = endLease.attempt(lease);
    } catch (RefusedException e) {
      log.warn("The end of lease {} is not recorded yet: {}", lease.id(), e.detail());
    }
  }

  /** Ends the work; what was claimed goes back by itself. */
  @Override
  public void close() {
    running = false;
    thread.interrupt();
    workers.shutdownNow();
  }
}
