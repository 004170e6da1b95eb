package io.valetkey.broker.gateway;

import io.netty.handler.codec.http2.Http2Error;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.http.HttpServerRequest;

/** One stream of an HTTP/2 connection. Whatever ends it leaves the others alone. */
final class Http2Leg implements CallerLeg {

  private final Http2Caller caller;
  private final HttpServerRequest request;
  private final Alarm alarm;

  Http2Leg(Http2Caller caller, HttpServerRequest request) {
    this.caller = caller;
    this.request = request;
    this.alarm = caller.alarm();
    caller.begun(request.streamId());
  }

  @Override
  public Alarm alarm() {
    return alarm;
  }

  @Override
  public void ended() {
    alarm.close();
    caller.ended();
  }

  @Override
  public boolean mayTunnel() {
    return false;
  }

  @Override
  public boolean hasUnreadBody() {
    return caller.isOpen(request);
  }

  @Override
  public boolean isSpoiltBy(ProblemCode refusal) {
    return false;
  }

  @Override
  public void lastAnswer() {
    caller.leave();
  }

  /**
   * RFC 9113 section 8.1: after a complete answer the rest of a request is asked not to be sent.
   */
  @Override
  public void endRequest() {
    if (hasUnreadBody()) {
      reset(Http2Error.NO_ERROR);
    }
  }

  @Override
  public void cut() {
    reset(Http2Error.INTERNAL_ERROR);
  }

  @Override
  public void cutHard() {
    reset(Http2Error.CANCEL);
    HardClose.ifStuck(request.connection());
  }

  @Override
  public boolean passesTrailers() {
    return true;
  }

  private void reset(Http2Error code) {
    var _ = request.response().reset(code.code());
  }
}
