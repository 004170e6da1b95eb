package io.valetkey.broker.gateway;

import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.problem.ProblemCode;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The record keeping of one request: its audit entry, its trace and its place among the live
 * exchanges. Knows nothing of sockets.
 */
final class Exchange {

  private static final Duration LONGEST_WAIT = Duration.ofSeconds(1);

  private final Trail trail;
  private final LiveExchanges exchanges;
  private final Function<Ending, CompletableFuture<?>> onEnding;
  private final Trace trace = new Trace();
  private Trail.Entry entry;
  private LiveExchanges.@Nullable Live live;
  private boolean recorded;
  private long toUpstream;
  private long toCaller;

  /**
   * Opens the record.
   *
   * @param onEnding ends the exchange and completes when it has ended; called on any thread
   */
  Exchange(Trail trail, LiveExchanges exchanges, Function<Ending, CompletableFuture<?>> onEnding) {
    this.trail = trail;
    this.exchanges = exchanges;
    this.onEnding = onEnding;
    this.entry = trail.open();
  }

  Trail.Entry entry() {
    return entry;
  }

  Trace trace() {
    return trace;
  }

  void live(LiveExchanges.Live registered) {
    live = registered;
  }

  /** The permission is durably on record; what happens from here on needs a record of its own. */
  void recorded() {
    recorded = true;
  }

  /** Somebody outside ends it. Completes when it has ended. */
  CompletableFuture<?> end(Ending why) {
    return onEnding.apply(why);
  }

  /** Whether it was told to end, and its cut is on its way. */
  boolean isTold() {
    return live != null && live.isTold();
  }

  /** The exchange came to its end, good or bad: stops need not look for it any more. */
  void ended() {
    if (live != null) {
      exchanges.remove(live);
    }
  }

  /**
   * Puts a refusal or failure on record.
   *
   * @param detail one sentence; never a secret
   * @return the decision id for the answer, once the record is durable or cannot become so in time:
   *     a "no" does not hang because the database does
   */
  CompletableFuture<UUID> unserved(ProblemCode code, String detail) {
    Trail.Entry last = lastEntry();
    CompletableFuture<?> written =
        code.status() >= 500 ? last.failed(code, detail) : last.refused(code, detail);
    return written
        .<UUID>handle((receipt, failure) -> last.decisionId())
        .completeOnTimeout(last.decisionId(), LONGEST_WAIT.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * Puts an end on record that came because the database is away, so that the record has to wait
   * for it.
   *
   * @return the decision id for the answer
   */
  UUID unservedFor(Ending why, DeferredRecords later) {
    Trail.Entry last = lastEntry();
    later.add(() -> last.failed(why.code(), why.detail()));
    return last.decisionId();
  }

  private Trail.Entry lastEntry() {
    ended();
    Trail.Entry last = recorded ? reopened() : entry;
    last.detail("steps", trace.steps());
    last.detail("bytes_to_upstream", toUpstream);
    last.detail("bytes_to_caller", toCaller);
    return last;
  }

  /** So much of the request's body was passed on. */
  void passedToUpstream(int bytes) {
    toUpstream += bytes;
  }

  /** So much of the answer's body was passed on. */
  void passedToCaller(int bytes) {
    toCaller += bytes;
  }

  private Trail.Entry reopened() {
    Trail.Entry next = trail.open();
    next.detail("granted_as", entry.decisionId().toString());
    if (live != null) {
      Caller caller = Objects.requireNonNull(live).caller();
      next.caller(caller);
      next.destination(caller.destination());
    }
    entry = next;
    recorded = false;
    return next;
  }
}
