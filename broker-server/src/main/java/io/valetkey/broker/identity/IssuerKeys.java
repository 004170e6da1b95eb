package io.valetkey.broker.identity;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The keys of one registration of one issuer: fetched by one thread at a time whoever asks, read
 * again in the background, forgotten when the issuer has not confirmed them for too long.
 */
final class IssuerKeys {

  static final Duration KEEP = Duration.ofMinutes(15);
  static final Duration UNKNOWN_KEY_REFRESH = Duration.ofSeconds(30);

  private static final Duration RETRY = Duration.ofSeconds(1);

  private final TrustedIssuer issuer;
  private final KeyFetch fetch;
  private final Clock clock;

  private volatile @Nullable Current current;

  // Guarded by this.
  private @Nullable CompletableFuture<Current> inFlight;
  private @Nullable Instant lastAttempt;
  private @Nullable Instant lastUnknown;
  private boolean lastFailed;

  IssuerKeys(TrustedIssuer issuer, KeyFetch fetch, Clock clock) {
    this.issuer = issuer;
    this.fetch = fetch;
    this.clock = clock;
    if (issuer.keys() instanceof KeySource.Inline inline) {
      current =
          new Current(
              fetch.inline(issuer, inline), X509Authorities.NONE, 1, Instant.MAX, Instant.MAX);
    }
  }

  /** Keys with the number of times they really changed, and how long they count. */
  record Current(
      KeySet keys,
      X509Authorities authorities,
      long generation,
      Instant fetchedAt,
      Instant refreshAt) {

    boolean usable(Instant now) {
      return fetchedAt.equals(Instant.MAX)
          || !(now.isBefore(fetchedAt) || now.isAfter(fetchedAt.plus(KEEP)));
    }
  }

  TrustedIssuer issuer() {
    return issuer;
  }

  /** How old the keys are, since the issuer confirmed them; NaN if it never did or need not. */
  double ageSeconds() {
    Current known = current;
    return known == null || known.fetchedAt().equals(Instant.MAX)
        ? Double.NaN
        : Duration.between(known.fetchedAt(), clock.instant()).toMillis() / 1000.0;
  }

  /** Whether the last attempt to get them failed. */
  synchronized boolean isFailing() {
    return lastFailed;
  }

  /** The generation of the keys that count now; -1 if none do. Never fetches. */
  long generation() {
    Current known = current;
    return known != null && known.usable(clock.instant()) ? known.generation() : -1;
  }

  /**
   * The keys that count now, fetched first if there are none.
   *
   * @param giveUp until when to wait, in {@link System#nanoTime()}
   * @throws RefusedException {@link ProblemCode#ISSUER_UNAVAILABLE} if they cannot be had in time
   */
  Current get(long giveUp) {
    Current known = current;
    Instant now = clock.instant();
    if (known == null || !known.usable(now)) {
      return await(fetchSince(RETRY), giveUp);
    }
    if (!now.isBefore(known.refreshAt())) {
      refreshInBackground();
    }
    return known;
  }

  /**
   * The keys after a look for one that was not among them; at most one look in 30 seconds.
   *
   * @param giveUp until when to wait, in {@link System#nanoTime()}
   * @throws RefusedException {@link ProblemCode#KEY_UNKNOWN} if it is too early for another look,
   *     {@link ProblemCode#ISSUER_UNAVAILABLE} if the last look got no answer
   */
  Current lookAgain(long giveUp) {
    return await(unknownKeyFetch(), giveUp);
  }

  private synchronized CompletableFuture<Current> unknownKeyFetch() {
    if (inFlight != null) {
      return inFlight;
    }
    Instant now = clock.instant();
    if (issuer.keys() instanceof KeySource.Inline
        || within(lastUnknown, UNKNOWN_KEY_REFRESH, now)) {
      throw lastFailed
          ? unavailable()
          : new RefusedException(ProblemCode.KEY_UNKNOWN, "the issuer has no such key");
    }
    lastUnknown = now;
    return start(now);
  }

  private synchronized void refreshInBackground() {
    Instant now = clock.instant();
    if (inFlight == null && !within(lastAttempt, UNKNOWN_KEY_REFRESH, now)) {
      var _ = start(now); // its outcome is for later callers, through current
    }
  }

  private synchronized CompletableFuture<Current> fetchSince(Duration pause) {
    if (inFlight != null) {
      return inFlight;
    }
    Instant now = clock.instant();
    Current known = current;
    if (known != null && known.usable(now)) {
      return CompletableFuture.completedFuture(known); // another caller was quicker
    }
    if (lastFailed && within(lastAttempt, pause, now)) {
      throw unavailable();
    }
    return start(now);
  }

  private static boolean within(@Nullable Instant last, Duration span, Instant now) {
    return last != null && !now.isBefore(last) && now.isBefore(last.plus(span));
  }

  private synchronized CompletableFuture<Current> start(Instant now) {
    CompletableFuture<Current> started = new CompletableFuture<>();
    inFlight = started;
    lastAttempt = now;
    Thread.ofVirtual().name("issuer-keys-" + issuer.name()).start(() -> run(started));
    return started;
  }

  private void run(CompletableFuture<Current> started) {
    try {
      KeyFetch.Fetched fetched = fetch.fetch(issuer);
      started.complete(finished(fetched));
    } catch (IOException | RuntimeException e) {
      synchronized (this) {
        inFlight = null;
        lastFailed = true;
      }
      started.completeExceptionally(e);
    }
  }

  private synchronized Current finished(KeyFetch.Fetched fetched) {
    Current before = current;
    Instant now = clock.instant();
    long generation = 1;
    if (before != null) {
      generation = before.generation() + (before.keys().sameKeys(fetched.keys()) ? 0 : 1);
    }
    Current after =
        new Current(
            fetched.keys(),
            fetched.authorities(),
            generation,
            now,
            now.plus(fetched.refreshAfter()));
    current = after;
    inFlight = null;
    lastFailed = false;
    return after;
  }

  private Current await(CompletableFuture<Current> future, long giveUp) {
    try {
      return future.get(giveUp - System.nanoTime(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw unavailable();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unavailable();
    }
  }

  private RefusedException unavailable() {
    return new RefusedException(
        ProblemCode.ISSUER_UNAVAILABLE, "the keys of " + issuer.name() + " cannot be had");
  }
}
