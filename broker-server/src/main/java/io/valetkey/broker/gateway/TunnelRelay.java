package io.valetkey.broker.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.problem.ProblemCode;
import java.time.Duration;
import java.util.Locale;
import java.util.function.BooleanSupplier;

/**
 * Passes the bytes of one tunnel on, in both directions, and looks at none of them. Neither side is
 * read faster than the other one takes it. When one side has said all that it has to say, the other
 * one is told so and may go on; any other end is hard, so that what was cut does not look complete.
 * Lives on the event loop that both connections are on.
 */
final class TunnelRelay {

  /** Whose doing a good end was. */
  enum End {
    /** The caller was the first that had no more to say, or went away. */
    CALLER,
    /** The destination was. */
    UPSTREAM,
    /** This gateway is about to end. */
    GATEWAY;

    /** The word that stands in audit records. */
    String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /**
   * What all tunnels have in common.
   *
   * @param current whether what was allowed may still be acted upon
   * @param deferred where records wait while the database is away
   * @param telemetry is told how it ended
   * @param idle how long nothing may be passed on
   * @param closing the same once one side has no more to say
   */
  record Bounds(
      BooleanSupplier current,
      DeferredRecords deferred,
      GatewayTelemetry telemetry,
      Duration idle,
      Duration closing) {}

  private final Bounds bounds;
  private final Exchange exchange;
  private final ChannelHandlerContext caller;
  private final Channel upstream;
  private final Alarm alarm;
  private final long lastNanos;
  private final Runnable onDue = this::due;
  private boolean callerIsDone;
  private boolean upstreamIsDone;
  private int told;
  private boolean leaving;
  private boolean ended;
  private End first = End.CALLER;

  /**
   * A tunnel that passes nothing on yet.
   *
   * @param caller the caller's connection, where bytes for it are written
   * @param upstream the destination's, from which nothing was read yet
   * @param longest how long it may be open
   */
  TunnelRelay(
      Bounds bounds,
      Exchange exchange,
      ChannelHandlerContext caller,
      Channel upstream,
      Duration longest) {
    this.bounds = bounds;
    this.exchange = exchange;
    this.caller = caller;
    this.upstream = upstream;
    this.alarm = new Alarm(caller.channel().eventLoop());
    this.lastNanos = System.nanoTime() + longest.toNanos();
  }

  /** Starts with the caller's first bytes, which were looked at. */
  void start(byte[] hello) {
    if (!upstream.isActive()) {
      fail(ProblemCode.UPSTREAM_BROKEN, "the destination left before the tunnel began");
      return;
    }
    var _ = caller.channel().config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
    upstream.pipeline().addLast("tunnel", new Upstream());
    fromCaller(Unpooled.wrappedBuffer(hello));
    var _ = upstream.flush();
    if (!ended) {
      upstream.config().setAutoRead(true);
    }
  }

  /** The caller sent this. */
  void fromCaller(ByteBuf bytes) {
    if (callerIsDone || !mayPassOn()) {
      bytes.release();
      return;
    }
    exchange.passedToUpstream(bytes.readableBytes());
    moved();
    var _ = upstream.write(bytes);
    caller.channel().config().setAutoRead(upstream.isWritable());
  }

  /** For now the caller has sent no more. */
  void callerPauses() {
    var _ = upstream.flush();
  }

  /** The caller takes more, or no more for now. */
  void callerTakes(boolean more) {
    if (!ended) {
      upstream.config().setAutoRead(more);
    }
  }

  /** The caller has no more to say, and may still be told something. */
  void callerIsDone() {
    if (!callerIsDone && !ended) {
      callerIsDone = true;
      first = upstreamIsDone ? first : End.CALLER;
      tell(upstream);
    }
  }

  private void upstreamIsDone() {
    if (!upstreamIsDone && !ended) {
      upstreamIsDone = true;
      first = callerIsDone ? first : End.UPSTREAM;
      if (caller.pipeline().get(SslHandler.class) == null) {
        tell(caller.channel());
      } else {
        // TLS to the proxy has no other way to say it.
        var _ = caller.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(written -> close());
      }
    }
  }

  /** After all that is under way to it, this side hears that no more follows. */
  private void tell(Channel side) {
    moved();
    var _ =
        side.writeAndFlush(Unpooled.EMPTY_BUFFER)
            .addListener(
                (ChannelFutureListener)
                    written -> {
                      if (written.isSuccess() && side instanceof DuplexChannel duplex) {
                        var _ = duplex.shutdownOutput();
                      }
                      told++;
                      if (told == 2) {
                        close();
                      }
                    });
  }

  private void close() {
    if (end()) {
      closed(first);
      var _ = caller.close();
      var _ = upstream.close();
    }
  }

  /** One side has gone without a word. */
  void left(End by) {
    if (end()) {
      closed(leaving ? End.GATEWAY : by);
      closeHard();
    }
  }

  private void closed(End by) {
    exchange.closed(by);
    bounds.telemetry().served(exchange, null);
  }

  /** It came to nothing, and somebody else says so. */
  void abandon() {
    if (end()) {
      HardClose.now(upstream);
    }
  }

  /** This gateway is about to end; what ends the tunnel from now on is its doing. */
  void leaving() {
    leaving = true;
  }

  /** Somebody outside ends it. */
  void cut(Ending why) {
    if (!end()) {
      return;
    }
    switch (why) {
      case STOPPED -> unserved(why.code(), why.detail());
      case STALE -> {
        var _ = exchange.unservedFor(why, bounds.deferred());
        bounds.telemetry().unserved(exchange, why.code(), null);
      }
    }
    closeHard();
  }

  private void fail(ProblemCode code, String detail) {
    if (end()) {
      unserved(code, detail);
      closeHard();
    }
  }

  private void unserved(ProblemCode code, String detail) {
    var _ = exchange.unserved(code, detail);
    bounds.telemetry().unserved(exchange, code, null);
  }

  private void closeHard() {
    HardClose.now(upstream);
    HardClose.now(caller.channel());
  }

  /** Asked for each piece: a process that wakes from a pause gets to its sockets first. */
  private boolean mayPassOn() {
    if (ended || exchange.isTold()) {
      return false;
    }
    if (!bounds.current().getAsBoolean()) {
      cut(Ending.STALE);
      return false;
    }
    return true;
  }

  private void moved() {
    long idle = (callerIsDone || upstreamIsDone ? bounds.closing() : bounds.idle()).toNanos();
    long now = System.nanoTime();
    alarm.set(now + Math.min(idle, lastNanos - now), onDue);
  }

  private void due() {
    if (leaving) {
      left(End.GATEWAY);
    } else if (System.nanoTime() - lastNanos >= 0) {
      fail(ProblemCode.UPSTREAM_TIMEOUT, "the tunnel lasted longer than the destination allows");
    } else {
      fail(ProblemCode.UPSTREAM_TIMEOUT, "nothing was passed on in time");
    }
  }

  private boolean end() {
    if (ended) {
      return false;
    }
    ended = true;
    alarm.close();
    return true;
  }

  /** The destination's side. */
  private final class Upstream extends ChannelInboundHandlerAdapter {

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      if (!(message instanceof ByteBuf bytes) || !mayPassOn()) {
        ReferenceCountUtil.release(message);
        return;
      }
      exchange.passedToCaller(bytes.readableBytes());
      moved();
      var _ = caller.write(bytes);
      upstream.config().setAutoRead(caller.channel().isWritable());
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      caller.flush();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      if (!ended) {
        caller.channel().config().setAutoRead(upstream.isWritable());
      }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      if (event instanceof ChannelInputShutdownEvent) {
        upstreamIsDone();
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      left(End.UPSTREAM);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      left(End.UPSTREAM);
    }
  }
}
