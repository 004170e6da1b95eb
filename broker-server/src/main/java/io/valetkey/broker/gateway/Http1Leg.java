package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerRequest;

/** One of the exchanges of an HTTP/1.1 connection, which come one after another. */
final class Http1Leg implements CallerLeg {

  /** How long a refused caller may go on sending, so that it gets to read the answer. */
  private static final long LINGER_MILLIS = 500;

  private final Vertx vertx;
  private final HttpServerRequest request;
  private final WireGuardHandler guard;

  Http1Leg(Vertx vertx, HttpServerRequest request, WireGuardHandler guard) {
    this.vertx = vertx;
    this.request = request;
    this.guard = guard;
    guard.begun();
  }

  @Override
  public Alarm alarm() {
    return guard.exchangeAlarm();
  }

  @Override
  public void ended() {
    guard.ended();
  }

  @Override
  public boolean mayTunnel() {
    return guard.tunnel();
  }

  /** The end of a paused request is not seen either, so its header fields tell. */
  @Override
  public boolean hasUnreadBody() {
    String length = request.getHeader("content-length");
    boolean announced = length != null && !length.equals("0");
    return !request.isEnded() && (announced || request.getHeader("transfer-encoding") != null);
  }

  @Override
  public boolean isSpoiltBy(ProblemCode refusal) {
    return refusal.status() == 400 || hasUnreadBody();
  }

  @Override
  public void lastAnswer() {
    request.response().putHeader("Connection", "close");
  }

  /**
   * Reads on for a moment before the connection is closed: closing at once would drop the answer.
   */
  @Override
  public void endRequest() {
    if (!hasUnreadBody()) {
      cut();
      return;
    }
    request.handler(ignored -> {});
    request.endHandler(v -> cut());
    request.resume();
    vertx.setTimer(LINGER_MILLIS, id -> cut());
  }

  /** Without a last chunk, and short of a stated length. */
  @Override
  public void cut() {
    request.connection().close();
  }

  @Override
  public void cutHard() {
    HardClose.of(request.connection());
  }

  @Override
  public boolean passesTrailers() {
    return false;
  }
}
