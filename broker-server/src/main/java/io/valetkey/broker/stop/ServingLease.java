package io.valetkey.broker.stop;

import java.time.Duration;

/**
 * How long a gateway may serve after its last sign of life. Whoever waits for gateways leaves one
 * out only when it has not reported for S and a margin; this class makes the gateway stop serving
 * before that, whatever keeps it from reporting. The proof, with each side on its own monotonic
 * clock:
 *
 * <ul>
 *   <li>The lease is counted from before a report was sent. Whoever waits counts from when it first
 *       read that report, which is later.
 *   <li>A report whose answer comes after the lease was over begins a new one. A view counts only
 *       if it was read after that, so it holds every stop for which this gateway was not waited
 *       for.
 * </ul>
 *
 * Written by the feed's thread, asked by any.
 */
final class ServingLease {

  private record Term(long reportedNanos, long beganNanos) {}

  private final long lifeNanos;
  private volatile Term term;
  private volatile boolean ended;

  ServingLease(Duration staleness) {
    this.lifeNanos = staleness.toNanos();
    // Over since ever: nothing may be served before the first report.
    long past = System.nanoTime() - lifeNanos - 1;
    this.term = new Term(past, past);
  }

  /**
   * A report has become durable.
   *
   * @param sentNanos when it was sent
   * @param answeredNanos when its answer came
   */
  void reported(long sentNanos, long answeredNanos) {
    boolean lapsed = answeredNanos - term.reportedNanos() > lifeNanos;
    term = new Term(sentNanos, lapsed ? answeredNanos : term.beganNanos());
  }

  /** Ends it for good: whoever waits need not wait for this gateway any more. */
  void end() {
    ended = true;
  }

  /** Whether a view that was read at {@code readNanos} may be acted upon at {@code nowNanos}. */
  boolean covers(long readNanos, long nowNanos) {
    Term current = term;
    return !ended
        && nowNanos - current.reportedNanos() <= lifeNanos
        && readNanos - current.beganNanos() >= 0;
  }

  /** Whether it is over, so that a report must come before anything is read. */
  boolean isOver() {
    return System.nanoTime() - term.reportedNanos() > lifeNanos;
  }

  /** The time since the last report was sent. */
  Duration sinceReport() {
    return Duration.ofNanos(System.nanoTime() - term.reportedNanos());
  }
}
