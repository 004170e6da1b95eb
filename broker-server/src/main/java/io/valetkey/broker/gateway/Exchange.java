package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The record keeping of one request: its audit entry, its trace and its place among the live
 * exchanges. Knows nothing of sockets.
 */
final class Exchange {

  private final Trail trail;
  private final LiveExchanges exchanges;
  private final Runnable onStop;
  private final Trace trace = new Trace();
  private Trail.Entry entry;
  private LiveExchanges.@Nullable Live live;
  private boolean recorded;

  /**
   * Opens the record.
   *
   * @param onStop ends the exchange; called on any thread
   */
  Exchange(Trail trail, LiveExchanges exchanges, Runnable onStop) {
    this.trail = trail;
    this.exchanges = exchanges;
    this.onStop = onStop;
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

  void stopped() {
    onStop.run();
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
   * @return the decision id for the answer, once the record is durable or cannot become so
   */
  CompletableFuture<UUID> unserved(ProblemCode code, String detail) {
    ended();
    Trail.Entry last = recorded ? reopened() : entry;
    last.detail("steps", trace.steps());
    CompletableFuture<?> written =
        code.status() >= 500 ? last.failed(code, detail) : last.refused(code, detail);
    return written.handle((receipt, failure) -> last.decisionId());
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
