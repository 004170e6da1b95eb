package io.valetkey.broker.gateway;

import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.limit.GrantMeter;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.telemetry.Trace;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The record keeping of one request: its audit entry, its trace and its place among the live
 * exchanges. Knows nothing of sockets.
 */
final class Exchange {

  /** Of English text; of other text and of events it is fewer, so the estimate is too high. */
  private static final int BYTES_PER_TOKEN = 4;

  private static final Duration LONGEST_WAIT = Duration.ofSeconds(1);

  private final Trail trail;
  private final LiveExchanges exchanges;
  private Way way;
  private final Function<Ending, CompletableFuture<?>> onEnding;
  private final Trace trace = new Trace();
  private Trail.Entry entry;
  private LiveExchanges.@Nullable Live live;
  private final AtomicReference<@Nullable GrantMeter> meter =
      new AtomicReference<>(GrantMeter.NONE);
  private @Nullable UsageReader usage;
  private boolean complete;
  private boolean over;
  private boolean recorded;
  private @Nullable String method;
  private @Nullable String destination;
  private long admittedNanos;
  private long answeredNanos;
  private int status;
  private long toUpstream;
  private long toCaller;
  private long held;

  /**
   * Opens the record.
   *
   * @param way how the request came in
   * @param onEnding ends the exchange and completes when it has ended; called on any thread
   */
  Exchange(
      Trail trail,
      LiveExchanges exchanges,
      Way way,
      Function<Ending, CompletableFuture<?>> onEnding) {
    this.trail = trail;
    this.exchanges = exchanges;
    this.onEnding = onEnding;
    this.way = way;
    this.entry = trail.open();
    entry.detail("way", way.word());
  }

  /** It has turned out to come in by another way than it seemed to. */
  void way(Way known) {
    way = known;
    entry.detail("way", way.word());
  }

  Trail.Entry entry() {
    return entry;
  }

  Trace trace() {
    return trace;
  }

  void live(LiveExchanges.Live registered) {
    live = registered;
    if (over) {
      // Who it is took a while, and it has ended meanwhile.
      exchanges.remove(registered);
    }
  }

  /** The request has this method, which is one of those that there are. */
  void method(String accepted) {
    method = accepted;
  }

  /**
   * What it costs is told to this one from now on. May come after the end, because steps of
   * admission can be on another thread.
   */
  void metered(GrantMeter begun) {
    if (begun == meter.get()) {
      return;
    }
    GrantMeter before = meter.getAndUpdate(known -> known == null ? null : begun);
    (before == null ? begun : before).end();
  }

  /** Whether somebody wants to know what the answer says about model tokens. */
  boolean countsModelTokens() {
    GrantMeter known = meter.get();
    return known != null && known.countsModelTokens();
  }

  /** The answer is read by this one, too. */
  void usage(UsageReader reader) {
    usage = reader;
  }

  /**
   * A part of its body is kept in memory until its end.
   *
   * @return false if this gateway holds as much as it may; then it must not be kept
   */
  boolean hold(int bytes) {
    boolean room = exchanges.hold(bytes);
    held += room ? bytes : 0;
    return room;
  }

  /** The policy allows the request; what follows is of this destination. */
  void admitted(String name) {
    destination = name;
    admittedNanos = System.nanoTime();
  }

  /** The head of the upstream's answer is there. */
  void answered(int answerStatus) {
    status = answerStatus;
    answeredNanos = System.nanoTime();
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

  /** The answer is complete. */
  void served() {
    complete = true;
    noteStream("ok");
    ended();
  }

  /**
   * What went on for a while has come to a good end, which is a record of its own: the one before
   * could not know how much would pass.
   *
   * @param closeCode how the WebSocket was closed (RFC 6455 section 7.4.1)
   */
  void closed(int closeCode) {
    closed("close_code", closeCode);
  }

  /**
   * The same for a tunnel.
   *
   * @param by whose doing it was
   */
  void closed(TunnelRelay.End by) {
    closed("ended_by", by.word());
  }

  private void closed(String detail, Object value) {
    ended();
    noteStream("ok");
    Trail.Entry end = trail.openEnd();
    describe(end);
    end.detail(detail, value);
    measure(end);
    var _ = end.ended();
  }

  private void noteStream(String result) {
    if (status > 0) {
      trace.note("stream", result, answeredNanos);
    }
  }

  /**
   * The caller has gone while a tunnel was being opened. If that is on record as allowed, its end
   * is too; safe to say again once it is known whether it is.
   */
  void abandoned() {
    if (recorded) {
      recorded = false;
      closed(TunnelRelay.End.CALLER);
    } else {
      ended();
    }
  }

  /** The exchange came to its end, good or bad: stops need not look for it any more. */
  void ended() {
    over = true;
    settle();
    exchanges.letGo(held);
    held = 0;
    if (live != null) {
      exchanges.remove(live);
    }
  }

  private void settle() {
    GrantMeter last = meter.getAndSet(null);
    if (last == null) {
      return;
    }
    if (last.countsModelTokens()) {
      UsageReader read = usage;
      long stated = read == null ? 0 : read.tokens();
      boolean known = complete && read != null && read.isFinal();
      last.modelTokens(known ? stated : Math.max(stated, estimate()), known);
    }
    last.end();
  }

  /** Model tokens by size, where the answer did not say or did not get so far. */
  private long estimate() {
    // What an upstream refuses costs nothing, unless it says so.
    return status >= 400 ? 0 : (toUpstream + toCaller + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
  }

  /**
   * Puts a refusal or failure on record.
   *
   * @param detail one sentence; never a secret
   * @return the decision id for the answer, once the record is durable or cannot become so in time:
   *     a "no" does not hang because the database does
   */
  CompletableFuture<UUID> unserved(ProblemCode code, String detail) {
    Trail.Entry last = lastEntry(code);
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
    Trail.Entry last = lastEntry(why.code());
    later.add(() -> last.failed(why.code(), why.detail()));
    return last.decisionId();
  }

  private Trail.Entry lastEntry(ProblemCode code) {
    ended();
    noteStream(code.code());
    Trail.Entry last = recorded ? reopened() : entry;
    measure(last);
    return last;
  }

  private void measure(Trail.Entry last) {
    last.detail("steps", trace.recorded());
    last.detail("bytes_to_upstream", toUpstream);
    last.detail("bytes_to_caller", toCaller);
  }

  /** So much of the request's body was passed on. */
  void passedToUpstream(int bytes) {
    toUpstream += bytes;
    passed(bytes);
  }

  /** So much of the answer's body was passed on. */
  void passedToCaller(int bytes) {
    toCaller += bytes;
    passed(bytes);
  }

  private void passed(int bytes) {
    GrantMeter known = meter.get();
    if (known != null) {
      known.passed(bytes);
    }
  }

  @Nullable String agent() {
    return live == null ? null : live.caller().agent();
  }

  @Nullable String method() {
    return method;
  }

  /** The destination, once it could go there. */
  @Nullable String destination() {
    return destination;
  }

  /** The upstream's status; 0 before its answer. */
  int status() {
    return status;
  }

  /** From the request's arrival until it could go upstream. */
  long admissionNanos() {
    return admittedNanos - trace.began();
  }

  /** From then until the head of the answer. */
  long upstreamNanos() {
    return answeredNanos - admittedNanos;
  }

  long bytesToUpstream() {
    return toUpstream;
  }

  long bytesToCaller() {
    return toCaller;
  }

  private Trail.Entry reopened() {
    Trail.Entry next = trail.open();
    describe(next);
    entry = next;
    recorded = false;
    return next;
  }

  private void describe(Trail.Entry later) {
    later.detail("granted_as", entry.decisionId().toString());
    later.detail("way", way.word());
    if (live != null) {
      Caller caller = Objects.requireNonNull(live).caller();
      later.caller(caller);
      later.destination(caller.destination());
    }
  }
}
