package io.valetkey.broker.gateway;

import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.Context;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The caller's side of one exchange: it ends exactly once, with a complete answer, a problem or a
 * cut. Lives on the event loop of the caller's connection.
 */
final class Conversation {

  /**
   * What the gateway as a whole says about each exchange.
   *
   * @param draining whether the gateway is about to end
   * @param current whether what was allowed may still be acted upon
   * @param deferred where records wait while the database is away
   * @param telemetry is told how it ended
   */
  record Bounds(
      BooleanSupplier draining,
      BooleanSupplier current,
      DeferredRecords deferred,
      GatewayTelemetry telemetry) {}

  private static final Duration MARGIN = Duration.ofSeconds(15);

  private final Context context;
  private final HttpServerRequest request;
  private final HttpServerResponse response;
  private final Exchange exchange;
  private final BooleanSupplier draining;
  private final BooleanSupplier current;
  private final DeferredRecords deferred;
  private final GatewayTelemetry telemetry;
  private final CallerLeg leg;
  private Runnable upstream = () -> {};
  private @Nullable Consumer<ProblemCode> tunnel;
  private boolean ended;
  private boolean answering;
  private int retryAfterSeconds = 1;
  private @Nullable ApprovalNotice approval;
  private final Alarm alarm;
  private ProblemCode onDeadline = ProblemCode.UPSTREAM_TIMEOUT;
  private final long started = System.nanoTime();
  private final Runnable onDue = this::due;
  private long maxNanos = Long.MAX_VALUE;

  Conversation(
      Context context,
      HttpServerRequest request,
      Way way,
      Trail trail,
      LiveExchanges live,
      Bounds bounds,
      CallerLeg leg) {
    this.leg = leg;
    this.context = context;
    this.request = request;
    this.response = request.response();
    this.draining = bounds.draining();
    this.current = bounds.current();
    this.deferred = bounds.deferred();
    this.telemetry = bounds.telemetry();
    this.alarm = leg.alarm();
    this.exchange = new Exchange(trail, live, way, this::endFromOutside);
    response.exceptionHandler(e -> abandoned());
    response.closeHandler(v -> abandoned());
  }

  private CompletableFuture<?> endFromOutside(Ending why) {
    var done = new CompletableFuture<Void>();
    context.runOnContext(v -> {
      end(why);
      done.complete(null);
    });
    return done;
  }

  private void end(Ending why) {
    switch (why) {
      case STOPPED -> fail(why.code(), why.detail());
      case STALE -> failStale();
    }
  }

  /**
   * Whether the next piece may be passed on: the exchange goes on, nobody told it to end, and this
   * gateway would know. The last is asked here too, because a process that wakes from a long pause
   * gets to its sockets before it gets to its timers.
   */
  boolean mayPassOn() {
    if (ended || exchange.isTold()) {
      return false;
    }
    if (!current.getAsBoolean()) {
      failStale();
      return false;
    }
    return true;
  }

  Exchange exchange() {
    return exchange;
  }

  HttpServerRequest request() {
    return request;
  }

  HttpServerResponse response() {
    return response;
  }

  Context context() {
    return context;
  }

  boolean hasEnded() {
    return ended;
  }

  /** Says how the upstream's side is cancelled from now on. */
  void upstream(Runnable cancel) {
    upstream = cancel;
  }

  /** The whole exchange ends at the latest so long after its start. */
  void limit(Duration longest) {
    maxNanos = longest.toNanos();
  }

  /** Something moved: the next thing must happen within this time, else the exchange fails. */
  void expect(Duration within, ProblemCode otherwise) {
    onDeadline = otherwise;
    if (!ended) {
      long now = System.nanoTime();
      alarm.set(now + Math.min(within.toNanos(), maxNanos - (now - started)), onDue);
    }
  }

  /** The head of the upstream's answer is about to be sent; from here on a failure is a cut. */
  void answering() {
    answering = true;
    if (draining.getAsBoolean()) {
      leg.lastAnswer();
    }
  }

  /** Whether trailers of an answer are part of it for this caller. */
  boolean passesTrailers() {
    return leg.passesTrailers();
  }

  /** Whether a part of the request's body has not been read. */
  boolean hasUnreadBody() {
    return leg.hasUnreadBody();
  }

  /** Takes the connection out of HTTP, if the caller has sent nothing but its request. */
  boolean mayTunnel() {
    return leg.mayTunnel();
  }

  /**
   * The connection is no HTTP connection any more.
   *
   * @param cutter tells the caller, if that can be, and ends the connection
   */
  void tunnel(Consumer<ProblemCode> cutter) {
    answering = true;
    tunnel = cutter;
  }

  /**
   * What was a tunnel has come to a good end on both sides.
   *
   * @param closeCode how the WebSocket was closed
   * @return whether this was its end
   */
  boolean closed(int closeCode) {
    if (!end()) {
      return false;
    }
    exchange.closed(closeCode);
    telemetry.served(exchange, traceparent());
    return true;
  }

  /** The answer is complete with this last piece, which may be empty. */
  void complete(Buffer last) {
    if (end()) {
      exchange.served();
      telemetry.served(exchange, traceparent());
      if (last.length() == 0) {
        response.end();
      } else {
        response.end(last);
      }
    }
  }

  /** Ends the request's part too, after an answer that came before the whole request was read. */
  void abort() {
    upstream.run();
    leg.endRequest();
  }

  /** What the answer to a refusal says that is worth trying again, if this one is. */
  void retryAfter(int seconds) {
    retryAfterSeconds = seconds;
  }

  /** What the answer to a refusal says about an approval, if that is what is missing. */
  void approval(ApprovalNotice notice) {
    approval = notice;
  }

  /** Answers a question about the gateway itself, which leaves no record. */
  void answer(Fields fields, String json) {
    if (!end()) {
      return;
    }
    exchange.ended();
    fields.list().forEach(field -> response.headers().add(field.name(), field.value()));
    response.headers().add("Content-Type", "application/json").add("Cache-Control", "no-store");
    if (draining.getAsBoolean()) {
      leg.lastAnswer();
    }
    var _ = response.end(json);
  }

  /** Ends the exchange with a refusal or a failure, if it has not ended yet. */
  void fail(ProblemCode code, String detail) {
    if (!end()) {
      return;
    }
    upstream.run();
    CompletableFuture<UUID> recorded = exchange.unserved(code, detail);
    telemetry.unserved(exchange, code, traceparent());
    var _ = recorded.thenAccept(id -> context.runOnContext(v -> answerOrCut(code, id)));
    if (tunnel != null) {
      tunnel.accept(code);
    } else if (answering) {
      // A cut does not wait for its record.
      if (code == Ending.STOPPED.code()) {
        leg.cutHard();
      } else {
        leg.cut();
      }
    }
  }

  private void failStale() {
    if (!end()) {
      return;
    }
    upstream.run();
    UUID id = exchange.unservedFor(Ending.STALE, deferred);
    telemetry.unserved(exchange, Ending.STALE.code(), traceparent());
    if (answering) {
      leg.cutHard();
    } else {
      answerOrCut(Ending.STALE.code(), id);
    }
  }

  private void answerOrCut(ProblemCode code, UUID id) {
    if (answering || response.closed()) {
      return;
    }
    GatewayProblem problem = Entrance.of(request.connection()).problem(code, id);
    response.setStatusCode(problem.code().status());
    problem.fields().list().forEach(field -> response.headers().add(field.name(), field.value()));
    if (retryAfterSeconds > 1 && problem.code() == ProblemCode.BUDGET_EXCEEDED) {
      response.putHeader("Retry-After", String.valueOf(retryAfterSeconds));
    }
    String json = problem.json();
    ApprovalNotice notice = approval;
    if (notice != null && isAboutApproval(problem.code())) {
      notice.fields().list().forEach(field -> response.headers().add(field.name(), field.value()));
      json = notice.problem(json);
    }
    boolean last = leg.isSpoiltBy(code) || draining.getAsBoolean();
    if (last) {
      leg.lastAnswer();
    }
    var _ =
        response
            .end(json)
            .onComplete(done -> {
              if (last || leg.hasUnreadBody()) {
                leg.endRequest();
              }
            });
  }

  private static boolean isAboutApproval(ProblemCode code) {
    return code == ProblemCode.APPROVAL_REQUIRED || code == ProblemCode.APPROVAL_DENIED;
  }

  /**
   * Keeps the caller waiting for something, from any thread. Whoever ends the exchange cancels it.
   *
   * @param longest how long it may take
   * @return completes on the event loop when that is there, and not at all if the exchange ends
   *     before
   */
  CompletableFuture<Void> whileOpen(CompletableFuture<?> thing, Duration longest) {
    var there = new CompletableFuture<Void>();
    context.runOnContext(v -> {
      if (!mayPassOn()) {
        thing.cancel(false);
        return;
      }
      upstream = () -> thing.cancel(false);
      expect(longest.plus(MARGIN), ProblemCode.TEMPORARILY_UNAVAILABLE);
      var _ =
          thing.whenComplete((done, failure) ->
              context.runOnContext(w -> {
                if (mayPassOn()) {
                  upstream = () -> {};
                  there.complete(null);
                }
              }));
    });
    return there;
  }

  /** The caller has gone, or its connection is broken. */
  void abandoned() {
    if (end()) {
      if (tunnel == null) {
        exchange.ended();
      } else {
        exchange.closed(WebSocketFrames.NO_CLOSE_FRAME);
      }
      telemetry.abandoned(exchange);
      upstream.run();
    }
  }

  private @Nullable String traceparent() {
    return request.getHeader("traceparent");
  }

  private boolean end() {
    if (ended) {
      return false;
    }
    ended = true;
    leg.ended();
    alarm.clear();
    return true;
  }

  private void due() {
    if (System.nanoTime() - started >= maxNanos) {
      fail(ProblemCode.UPSTREAM_TIMEOUT, "the exchange lasted longer than the destination allows");
    } else {
      fail(onDeadline, "nothing moved in time");
    }
  }
}
