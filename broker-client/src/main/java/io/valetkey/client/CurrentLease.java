package io.valetkey.client;

import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One lease at a time, kept current: what is asked for before each new connection. In the second
 * half of a lease's life (from 50 to 65 %, drawn for each) it is renewed in the background; when it
 * cannot be renewed any more, or not for long, another one takes its place. The one before stays
 * good until its own end, so that open connections can finish: a workload has up to two live
 * leases, which the scope's {@code maxLive} must allow.
 *
 * <p>Nothing happens between calls: no thread, no timer, and a lease that nobody asks for ends by
 * itself. Safe for any number of threads, of which one at a time speaks with the broker.
 */
public final class CurrentLease implements AutoCloseable {
  private static final Duration CONFIRMED_FOR = Duration.ofSeconds(1);

  private final LeaseCalls calls;
  private final Clock clock;
  private final FreshCache<Lease> cache;
  private final Object lock = new Object();

  // Guarded by the lock.
  private final List<Lease> out = new ArrayList<>();
  private boolean closed;

  private volatile Confirmed confirmed = new Confirmed(null, 0);

  private record Confirmed(@Nullable Lease lease, long atMillis) {}

  CurrentLease(LeaseCalls calls, Clock clock, DoubleSupplier jitter) {
    this.calls = calls;
    this.clock = clock;
    this.cache = new FreshCache<>(this::refresh, clock, jitter);
  }

  /**
   * A lease that has not ended, from memory in nearly every call. It belongs to this object: do not
   * close it.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if there is neither a lease nor an answer: try again later
   * @throws IllegalStateException after {@link #close()}
   */
  public Lease get() {
    synchronized (lock) {
      if (closed) {
        throw new IllegalStateException("This lease was closed");
      }
    }
    Lease lease = cache.current();
    return lease.isReleased() ? LeaseCalls.await(cache.replace(lease)) : lease;
  }

  /**
   * As {@link #get()}, after asking the broker (at most once a second) whether the lease was taken
   * back meanwhile, as a stop does: for new connections, where a login that is gone would be a
   * failure that says nothing. While the broker does not answer, what is known counts.
   *
   * @throws RefusedException if the broker refuses: stop
   * @throws UnavailableException if there is neither a lease nor an answer: try again later
   * @throws IllegalStateException after {@link #close()}
   */
  public Lease confirmed() {
    Lease lease = get();
    long now = clock.millis();
    Confirmed last = confirmed;
    boolean isNew = isRecent(now - lease.obtainedAtMillis());
    if (isNew || (last.lease == lease && isRecent(now - last.atMillis))) {
      return lease;
    }
    boolean active;
    try {
      active = LeaseCalls.await(calls.isActive(lease.id()));
    } catch (UnavailableException e) {
      return lease;
    } catch (RefusedException e) {
      active = false; // Asking for another one says why.
    }
    if (active) {
      confirmed = new Confirmed(lease, now);
      return lease;
    }
    return LeaseCalls.await(cache.replace(lease));
  }

  private static boolean isRecent(long ageMillis) {
    return ageMillis >= 0 && ageMillis < CONFIRMED_FOR.toMillis();
  }

  private CompletableFuture<Lease> refresh() {
    Lease latest = latest();
    if (latest == null
        || !latest.renewable()
        || latest.expiresAtMillis() <= clock.millis()
        || !cache.holds(latest)) {
      return another();
    }
    return calls
        .renew(latest.id())
        .thenApply(life -> {
          latest.renewed(life);
          return !latest.isNearItsEnd(clock.millis());
        })
        .exceptionally(failure -> {
          if (LeaseCalls.isRefusal(failure)) {
            return false;
          }
          throw new CompletionException(failure);
        })
        .thenCompose(enough -> enough ? CompletableFuture.completedFuture(latest) : another());
  }

  private @Nullable Lease latest() {
    synchronized (lock) {
      return out.isEmpty() ? null : out.get(out.size() - 1);
    }
  }

  private CompletableFuture<Lease> another() {
    return calls
        .obtain()
        .thenApply(lease -> {
          boolean late;
          synchronized (lock) {
            long now = clock.millis();
            out.removeIf(old -> old.isReleased() || old.expiresAtMillis() <= now);
            out.add(lease);
            late = closed;
          }
          if (late) {
            var unused = calls.release(lease.id());
          }
          return lease;
        });
  }

  /** Gives back what is out, the leases before the current one included. */
  @Override
  public void close() {
    List<Lease> left;
    synchronized (lock) {
      closed = true;
      left = List.copyOf(out);
      out.clear();
    }
    left.forEach(Lease::close);
  }

  /** Says everything but the credential. */
  @Override
  public String toString() {
    return "CurrentLease[" + latest() + "]";
  }
}
