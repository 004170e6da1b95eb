package io.valetkey.client;

import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Keeps one thing that the broker gave for a time (an access token, a lease) fresh. In the order of
 * its life: until the first threshold it is simply handed out; from there it is handed out while
 * one exchange runs in the background; from the second threshold callers wait for the new one, and
 * get the old one only if the broker is away and only until it ends.
 *
 * <p>However many callers there are, one exchange runs at a time, and none runs sooner after a
 * failure than the broker asked. A refusal ends the old one at once: the broker has said no.
 */
final class FreshCache<T extends Perishable> {
  /** The first threshold lies between these fractions of a life, drawn for each. */
  static final double REFRESH_AHEAD_FROM = 0.50;

  static final double REFRESH_AHEAD_TO = 0.65;

  /** The second threshold. */
  static final double REFRESH_MANDATORY = 0.85;

  /** After a failure without Retry-After: this long, doubled at each further one, up to the cap. */
  static final Duration FIRST_PAUSE = Duration.ofSeconds(1);

  static final Duration LONGEST_PAUSE = Duration.ofSeconds(8);

  private final Supplier<CompletableFuture<T>> exchange;
  private final Clock clock;
  private final DoubleSupplier jitter;
  private final Object lock = new Object();

  private volatile @Nullable Held<T> held;

  // The rest is guarded by the lock.
  private @Nullable CompletableFuture<T> flight;
  private @Nullable ValetkeyException failure;
  private int failures;
  private long pauseFromMillis;
  private long pauseMillis;

  FreshCache(Supplier<CompletableFuture<T>> exchange, Clock clock, DoubleSupplier jitter) {
    this.exchange = exchange;
    this.clock = clock;
    this.jitter = jitter;
  }

  /** A value that has not ended; waits for an exchange only if there is no other way. */
  T current() {
    Held<T> now = ready();
    return now != null ? now.value : await(renewed());
  }

  /** As {@link #current()}, without waiting: the future fails with a ValetkeyException. */
  CompletableFuture<T> currentAsync() {
    Held<T> now = ready();
    return now != null ? CompletableFuture.completedFuture(now.value) : renewed();
  }

  /** A value other than the one that was just refused, which is never served again. */
  CompletableFuture<T> replace(T rejected) {
    synchronized (lock) {
      Held<T> now = held;
      if (now != null && now.is(rejected)) {
        held = null;
      }
    }
    return currentAsync();
  }

  /** Whether this is what is handed out, or would be if it were fresh enough. */
  boolean holds(T value) {
    Held<T> now = held;
    return now != null && now.is(value);
  }

  private @Nullable Held<T> ready() {
    Held<T> now = held;
    if (now == null) {
      return null;
    }
    long age = now.ageMillis(clock);
    if (now.isBefore(now.aheadMillis, age)) {
      return now;
    }
    if (now.isBefore(now.mandatoryMillis, age)) {
      var unused = takeOff();
      return now;
    }
    return null;
  }

  private CompletableFuture<T> renewed() {
    return takeOff().exceptionally(this::grace);
  }

  private T grace(Throwable failure) {
    ValetkeyException known = known(failure);
    Held<T> old = held;
    if (known.retryable() && old != null) {
      if (old.isBefore(old.lifeMillis, old.ageMillis(clock))) {
        return old.value;
      }
    }
    throw known;
  }

  /**
   * Joins the exchange that runs, or starts one, or fails at once during a pause. One that landed
   * since the caller looked is as good as a new one.
   */
  private CompletableFuture<T> takeOff() {
    CompletableFuture<T> started;
    synchronized (lock) {
      if (flight != null) {
        return flight;
      }
      Held<T> landed = held;
      if (landed != null && landed.isBefore(landed.aheadMillis, landed.ageMillis(clock))) {
        return CompletableFuture.completedFuture(landed.value);
      }
      if (failure != null && isPaused()) {
        return CompletableFuture.failedFuture(failure.again());
      }
      started = new CompletableFuture<>();
      flight = started;
    }
    try {
      var unused = exchange.get().whenComplete((value, problem) -> land(started, value, problem));
    } catch (RuntimeException | Error e) { // e.g. no more threads; must not end all later flights
      land(started, null, e);
    }
    return started;
  }

  private boolean isPaused() {
    long since = clock.millis() - pauseFromMillis;
    return since >= 0 && since < pauseMillis;
  }

  private void land(CompletableFuture<T> landing, @Nullable T value, @Nullable Throwable problem) {
    ValetkeyException known = value == null ? known(problem) : null;
    synchronized (lock) {
      flight = null;
      failure = known;
      if (value != null) {
        failures = 0;
        held = new Held<>(value, jitter.getAsDouble());
      } else {
        pauseFromMillis = clock.millis();
        pauseMillis = pause(known).toMillis();
        failures++;
        if (known != null && !known.retryable()) {
          held = null;
        }
      }
    }
    if (value != null) {
      landing.complete(value);
    } else if (known != null) {
      landing.completeExceptionally(known);
    }
  }

  private Duration pause(@Nullable ValetkeyException failure) {
    if (failure instanceof UnavailableException away && away.retryAfter().isPresent()) {
      return away.retryAfter().get();
    }
    Duration pause = FIRST_PAUSE.multipliedBy(1L << Math.min(failures, 10));
    return pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
  }

  private static ValetkeyException known(@Nullable Throwable failure) {
    Throwable cause = failure;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause instanceof ValetkeyException known
        ? known
        : new UnavailableException("The exchange failed: " + cause, cause);
  }

  static <V> V await(CompletableFuture<V> pending) {
    try {
      return pending.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UnavailableException("Interrupted while waiting for the broker", e);
    } catch (ExecutionException e) {
      throw known(e.getCause()).again();
    }
  }

  /** A value and the ages at which it is treated differently; all in milliseconds. */
  private static final class Held<T extends Perishable> {
    private final T value;
    private final long obtainedAtMillis;
    private final long aheadMillis;
    private final long mandatoryMillis;
    private final long lifeMillis;

    Held(T value, double jitter) {
      this.value = value;
      this.obtainedAtMillis = value.obtainedAtMillis();
      this.lifeMillis = value.expiresAtMillis() - obtainedAtMillis;
      double ahead = REFRESH_AHEAD_FROM + jitter * (REFRESH_AHEAD_TO - REFRESH_AHEAD_FROM);
      this.aheadMillis = (long) (lifeMillis * ahead);
      this.mandatoryMillis = (long) (lifeMillis * REFRESH_MANDATORY);
    }

    /** Objects, not what is in them: comparing never looks at a secret. */
    @SuppressWarnings("ReferenceEquality")
    boolean is(T other) {
      return value == other;
    }

    long ageMillis(Clock clock) {
      return clock.millis() - obtainedAtMillis;
    }

    /** A clock that was set back makes an age negative; then nothing is known about the value. */
    boolean isBefore(long threshold, long age) {
      return age >= 0 && age < threshold;
    }
  }
}
