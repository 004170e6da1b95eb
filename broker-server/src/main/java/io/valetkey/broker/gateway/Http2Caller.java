package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.handler.codec.http2.Http2ConnectionHandler;
import io.netty.handler.codec.http2.Http2Stream;
import io.netty.util.AttributeKey;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.impl.ConnectionBase;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP/2 connection of a caller: closes it when no stream has been open for a while, and when
 * more frames come that only cost work than any honest program sends. What the HTTP/2 engine bounds
 * itself is in {@link GatewayServer#server}. Lives on the connection's event loop.
 */
final class Http2Caller {

  private static final AttributeKey<Http2Caller> KEY =
      AttributeKey.valueOf(Http2Caller.class, "caller");

  /** PING and SETTINGS, each of which has to be answered, within {@link #WINDOW_NANOS}. */
  private static final int MOST_ANSWERED_FRAMES = 200;

  private static final long WINDOW_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final HttpConnection connection;
  private final Channel channel;
  private final Duration keepAlive;
  private final Duration drain;
  private final Alarm idle;
  private final Http2Refusals refusals;
  private int exchanges;
  private boolean leaving;
  private int answered;
  private long windowStart = System.nanoTime();

  private Http2Caller(
      HttpConnection connection, Duration keepAlive, Duration drain, Http2Refusals refusals) {
    this.refusals = refusals;
    this.connection = connection;
    this.channel = ((ConnectionBase) connection).channel();
    this.keepAlive = keepAlive;
    this.drain = drain;
    this.idle = alarm();
  }

  /**
   * Watches over a connection that has begun.
   *
   * @param onRefused puts on record what the engine has refused by itself
   */
  static void watch(
      HttpConnection connection, GatewaySettings settings, Consumer<ProblemCode> onRefused) {
    var refusals = new Http2Refusals(onRefused);
    var caller = new Http2Caller(connection, settings.keepAlive(), settings.drain(), refusals);
    caller.channel.attr(KEY).set(caller);
    caller.channel.pipeline().addBefore("handler", "http2Refusals", refusals);
    connection.pingHandler(ignored -> caller.answered());
    connection.remoteSettingsHandler(ignored -> caller.answered());
    connection.closeHandler(ignored -> caller.idle.close());
    caller.watchIdle();
  }

  /** Whoever watches over this connection, or null if it does not speak HTTP/2. */
  static @Nullable Http2Caller of(Channel channel) {
    return channel.attr(KEY).get();
  }

  Alarm alarm() {
    return new Alarm(channel.eventLoop());
  }

  /** An exchange began on this stream. */
  void begun(long stream) {
    refusals.begun(stream);
    exchanges++;
    idle.clear();
  }

  void ended() {
    exchanges--;
    watchIdle();
  }

  boolean isBusy() {
    return exchanges > 0;
  }

  /** Takes no more streams (GOAWAY), and closes when those that are open have ended. */
  void leave() {
    if (!leaving) {
      leaving = true;
      var _ = connection.shutdown(drain.toMillis(), TimeUnit.MILLISECONDS);
    }
  }

  /** Whether the caller may still send on the stream of this request. */
  boolean isOpen(HttpServerRequest request) {
    var handler = channel.pipeline().get(Http2ConnectionHandler.class);
    Http2Stream stream =
        handler == null ? null : handler.connection().stream((int) request.streamId());
    return stream != null && stream.state().remoteSideOpen();
  }

  private void answered() {
    long now = System.nanoTime();
    if (now - windowStart > WINDOW_NANOS) {
      windowStart = now;
      answered = 0;
    }
    if (++answered == MOST_ANSWERED_FRAMES) {
      HardClose.now(channel);
    }
  }

  private void watchIdle() {
    if (exchanges == 0 && channel.isActive()) {
      idle.set(System.nanoTime() + keepAlive.toNanos(), connection::close);
    }
  }
}
