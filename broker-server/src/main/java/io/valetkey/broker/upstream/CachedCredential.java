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
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One reference: its last good value and the fetch that is under way. */
final class CachedCredential {

  private static final Logger log = LoggerFactory.getLogger(CachedCredential.class);

  private static final Duration LONGEST_MARGIN = Duration.ofMinutes(1);

  private final DestinationSpec.Credential reference;
  private final Supplier<Loaded> source;
  private final CredentialSettings settings;
  private final Clock clock;
  private final AtomicLong versions;
  private final Consumer<Duration> onLoaded;

  private volatile @Nullable UpstreamCredential good;
  private volatile Instant lastUsed;

  // Guarded by this.
  private @Nullable CompletableFuture<UpstreamCredential> underWay;
  private @Nullable RefusedException lastFailure;
  private Instant notAgainBefore = Instant.MIN;

  CachedCredential(
      DestinationSpec.Credential reference,
      Supplier<Loaded> source,
      CredentialSettings settings,
      Clock clock,
      AtomicLong versions,
      Consumer<Duration> onLoaded) {
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
    if (current != null && now.isBefore(freshUntil(current))) {
      if (!now.isBefore(aheadFrom(current))) {
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
        && (current == null || !now.isBefore(usableUntil(current)));
  }

  /** Until when it is given out without waiting for its source. */
  private Instant freshUntil(UpstreamCredential credential) {
    Instant end = credential.until();
    return end == null
        ? credential.fetchedAt().plus(settings.ttl())
        : end.minus(margin(credential, end));
  }

  /** From when on it is fetched anew although it is fresh. */
  private Instant aheadFrom(UpstreamCredential credential) {
    Instant end = credential.until();
    if (end == null) {
      return credential.fetchedAt().plus(settings.ttl().dividedBy(2));
    }
    // Connections live as long as their certificate: those that begin late shall not end at once.
    return credential.certificate() == null
        ? end.minus(margin(credential, end).multipliedBy(2))
        : credential.fetchedAt().plus(Duration.between(credential.fetchedAt(), end).dividedBy(2));
  }

  /** Until when it may be used if its source is away. */
  private static Instant usableUntil(UpstreamCredential credential) {
    Instant end = credential.until();
    return end == null ? credential.fetchedAt().plus(CredentialSettings.MAX_AGE) : end;
  }

  /** A tenth of a token's life, a minute at most: a request with it takes a while to arrive. */
  private static Duration margin(UpstreamCredential credential, Instant end) {
    Duration tenth = Duration.between(credential.fetchedAt(), end).dividedBy(10);
    return tenth.compareTo(LONGEST_MARGIN) > 0 ? LONGEST_MARGIN : tenth;
  }

  private @Nullable Instant end(Loaded answer) {
    Instant most = clock.instant().plus(CredentialSettings.MAX_TOKEN_AGE);
    Instant until = answer.until();
    return until == null || until.isBefore(most) ? until : most;
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
    CompletableFuture<Loaded> answer = new CompletableFuture<>();
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
  private void read(CompletableFuture<Loaded> answer) {
    try {
      answer.complete(source.get());
    } catch (Throwable e) {
      answer.completeExceptionally(e);
    }
  }

  private void settle(
      CompletableFuture<UpstreamCredential> flight,
      @Nullable Loaded value,
      @Nullable Throwable failure) {
    if (value != null) {
      UpstreamCredential loaded = loaded(value);
      flight.complete(loaded);
      onLoaded.accept(Duration.between(clock.instant(), usableUntil(loaded)));
    } else {
      flight.completeExceptionally(failed(failure));
    }
  }

  private synchronized UpstreamCredential loaded(Loaded answer) {
    CredentialFields value = answer.fields();
    UpstreamCredential before = good;
    long version =
        before != null && answer.certificate() == null && before.fields().equals(value)
            ? before.version()
            : versions.incrementAndGet();
    UpstreamCredential loaded =
        new UpstreamCredential(value, version, clock.instant(), end(answer), answer.certificate());
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
              && clock.instant().isBefore(usableUntil(old))) {
            own.complete(old);
          } else {
            own.completeExceptionally(failure);
          }
        });
    return own;
  }
}
