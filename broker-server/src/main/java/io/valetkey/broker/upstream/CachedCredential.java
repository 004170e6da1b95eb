package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One reference: its last good value and the fetch that is under way. */
final class CachedCredential {

  private static final Logger log = LoggerFactory.getLogger(CachedCredential.class);

  private final DestinationSpec.Credential reference;
  private final Supplier<CredentialFields> source;
  private final CredentialSettings settings;
  private final Clock clock;
  private final AtomicLong versions;
  private final Runnable onLoaded;

  private volatile @Nullable UpstreamCredential good;
  private volatile Instant lastUsed;

  // Guarded by this.
  private @Nullable CompletableFuture<UpstreamCredential> underWay;
  private @Nullable RefusedException lastFailure;
  private Instant notAgainBefore = Instant.MIN;

  CachedCredential(
      DestinationSpec.Credential reference,
      Supplier<CredentialFields> source,
      CredentialSettings settings,
      Clock clock,
      AtomicLong versions,
      Runnable onLoaded) {
    this.reference = reference;
    this.source = source;
    this.settings = settings;
    this.clock = clock;
    this.versions = versions;
    this.onLoaded = onLoaded;
    this.lastUsed = clock.instant();
  }

  Instant lastUsed() {
    return lastUsed;
  }

  /** The age of its value in seconds; 0 if there is none. */
  double ageSeconds() {
    UpstreamCredential current = good;
    return current == null
        ? 0
        : Duration.between(current.fetchedAt(), clock.instant()).toMillis() / 1000.0;
  }

  CompletableFuture<UpstreamCredential> get() {
    Instant now = clock.instant();
    lastUsed = now;
    UpstreamCredential current = good;
    if (current != null && isYounger(current, now, settings.ttl())) {
      if (!isYounger(current, now, settings.ttl().dividedBy(2))) {
        var _ = fetch(now);
      }
      return CompletableFuture.completedFuture(current);
    }
    return withGrace(fetch(now));
  }

  CompletableFuture<UpstreamCredential> refresh() {
    Instant now = clock.instant();
    lastUsed = now;
    return withGrace(fetch(now));
  }

  /** Whether nothing in it may be used any more and nothing is coming. */
  synchronized boolean isSpent() {
    UpstreamCredential current = good;
    Instant now = clock.instant();
    return underWay == null
        && !now.isBefore(notAgainBefore)
        && (current == null || !isYounger(current, now, CredentialSettings.MAX_AGE));
  }

  private static boolean isYounger(UpstreamCredential credential, Instant now, Duration age) {
    return now.isBefore(credential.fetchedAt().plus(age));
  }

  /** Joins the fetch under way, repeats the answer of one that was just now, or begins one. */
  private synchronized CompletableFuture<UpstreamCredential> fetch(Instant now) {
    if (underWay != null) {
      return underWay;
    }
    if (now.isBefore(notAgainBefore)) {
      UpstreamCredential current = good;
      if (lastFailure != null) {
        return CompletableFuture.failedFuture(lastFailure);
      }
      if (current != null) {
        return CompletableFuture.completedFuture(current);
      }
    }
    CompletableFuture<UpstreamCredential> flight = new CompletableFuture<>();
    CompletableFuture<CredentialFields> answer = new CompletableFuture<>();
    Thread reader = Thread.ofVirtual().name("upstream-credential").unstarted(() -> read(answer));
    var _ =
        answer
            .orTimeout(settings.deadline().toMillis(), TimeUnit.MILLISECONDS)
            .whenCompleteAsync(
                (value, failure) -> {
                  reader.interrupt();
                  settle(flight, value, failure);
                },
                Thread::startVirtualThread);
    underWay = flight;
    reader.start();
    return flight;
  }

  // Whatever goes wrong has to end the fetch, or its reference would wait for ever.
  @SuppressWarnings("CatchingUnchecked")
  private void read(CompletableFuture<CredentialFields> answer) {
    try {
      answer.complete(source.get());
    } catch (Throwable e) {
      answer.completeExceptionally(e);
    }
  }

  private void settle(
      CompletableFuture<UpstreamCredential> flight,
      @Nullable CredentialFields value,
      @Nullable Throwable failure) {
    if (value != null) {
      flight.complete(loaded(value));
      onLoaded.run();
    } else {
      flight.completeExceptionally(failed(failure));
    }
  }

  private synchronized UpstreamCredential loaded(CredentialFields value) {
    UpstreamCredential before = good;
    long version =
        before != null && before.fields().equals(value)
            ? before.version()
            : versions.incrementAndGet();
    UpstreamCredential loaded = new UpstreamCredential(value, version, clock.instant());
    good = loaded;
    lastFailure = null;
    ended();
    return loaded;
  }

  private synchronized RefusedException failed(@Nullable Throwable failure) {
    RefusedException refusal =
        switch (failure) {
          case RefusedException refused -> refused;
          case TimeoutException e ->
              CredentialText.away(reference, "was not read within " + settings.deadline());
          // The class only: a message of a parser or a client might quote what it read.
          case null, default -> CredentialText.away(reference, "cannot be read: " + name(failure));
        };
    if (!(refusal instanceof SourceAwayException)) {
      good = null;
    }
    lastFailure = refusal;
    ended();
    log.warn("{}", refusal.detail());
    return refusal;
  }

  private static String name(@Nullable Throwable failure) {
    return failure == null ? "no value" : failure.getClass().getSimpleName();
  }

  private void ended() {
    underWay = null;
    notAgainBefore = clock.instant().plus(settings.refreshInterval());
  }

  /** What one caller gets: the answer, or the last good value if the source is away. */
  private CompletableFuture<UpstreamCredential> withGrace(
      CompletableFuture<UpstreamCredential> shared) {
    CompletableFuture<UpstreamCredential> own = new CompletableFuture<>();
    var _ =
        shared.whenComplete((value, failure) -> {
          UpstreamCredential old = good;
          if (failure == null) {
            own.complete(value);
          } else if (failure instanceof SourceAwayException
              && old != null
              && isYounger(old, clock.instant(), CredentialSettings.MAX_AGE)) {
            own.complete(old);
          } else {
            own.completeExceptionally(failure);
          }
        });
    return own;
  }
}
