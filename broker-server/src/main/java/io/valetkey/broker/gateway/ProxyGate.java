package io.valetkey.broker.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.Trace;
import io.vertx.core.net.impl.ShutdownEvent;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stands first on each connection of the forward proxy. What begins with anything but CONNECT it
 * passes on and looks at no more. A CONNECT it answers itself; then it looks at the ClientHello,
 * which must name the same host. Where the tunnel ends here, it puts TLS between itself and the
 * HTTP parser, so that requests in the tunnel reach the gateway like any other; what is spoken
 * inside is chosen by ALPN. Where the tunnel leads on, nothing behind it hears of the connection
 * any more.
 */
final class ProxyGate extends ChannelInboundHandlerAdapter {

  /** What all connections have in common. */
  record Shared(
      Tunnels tunnels,
      TunnelDial dial,
      TunnelRelay.Bounds relays,
      Function<Function<Ending, CompletableFuture<?>>, Exchange> exchanges,
      GatewayTelemetry telemetry,
      Duration headTimeout,
      Duration handshakeTimeout) {}

  /** Bytes that can be looked at without copying all of them each time that one more comes. */
  private static final class Bytes extends ByteArrayOutputStream {
    private int looked;

    boolean beginsLike(byte[] prefix) {
      int known = Math.min(count, prefix.length);
      return Arrays.equals(buf, 0, known, prefix, 0, known);
    }

    /** Where this ends for the first time, −1 if it is not there yet. */
    int endOf(byte[] sought) {
      for (; looked + sought.length <= count; looked++) {
        if (Arrays.equals(buf, looked, looked + sought.length, sought, 0, sought.length)) {
          return looked + sought.length;
        }
      }
      return -1;
    }
  }

  private enum State {
    HEAD,
    DECIDING,
    HELLO,
    OPEN,
    RELAY,
    ENDED
  }

  private static final Logger log = LoggerFactory.getLogger(ProxyGate.class);
  private static final byte[] CONNECT = "CONNECT ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] HEAD_END = "\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] ESTABLISHED =
      "HTTP/1.1 200 Connection established\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final int LARGEST_HEAD = 32 * 1024;

  /** How long an exchange of a tunnel that is cut may take to say so. */
  private static final long LAST_WORDS_MILLIS = 200;

  private final Shared shared;
  private final Consumer<ChannelPipeline> onHttp2;
  private final Bytes received = new Bytes();
  private State state = State.HEAD;
  private @Nullable Future<?> deadline;
  private @Nullable Exchange exchange;
  private Tunnels.@Nullable Opened opened;
  private @Nullable TunnelRelay relay;

  /**
   * The gate of one connection.
   *
   * @param onHttp2 takes HTTP/1.1 out of the pipeline, because the tunnel speaks HTTP/2
   */
  ProxyGate(Shared shared, Consumer<ChannelPipeline> onHttp2) {
    this.shared = shared;
    this.onHttp2 = onHttp2;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (state == State.OPEN || !(message instanceof ByteBuf bytes)) {
      ctx.fireChannelRead(message);
      return;
    }
    if (state == State.RELAY && relay != null) {
      relay.fromCaller(bytes);
      return;
    }
    if (state != State.ENDED) {
      received.writeBytes(ByteBufUtil.getBytes(bytes));
    }
    ReferenceCountUtil.release(message);
    switch (state) {
      case HEAD -> head(ctx);
      case DECIDING -> refuse(ctx, ProblemCode.INVALID_REQUEST, "bytes came before the answer");
      case HELLO -> hello(ctx, received.toByteArray());
      case OPEN, RELAY, ENDED -> {}
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    if (relay == null) {
      ctx.fireChannelReadComplete();
    } else if (state == State.RELAY) {
      relay.callerPauses();
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (relay == null) {
      ctx.fireChannelWritabilityChanged();
    } else if (state == State.RELAY) {
      relay.callerTakes(ctx.channel().isWritable());
    }
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
    if (relay == null) {
      ctx.fireUserEventTriggered(event);
      return;
    }
    switch (event) {
      // To what is behind us the connection is idle, and would be closed at once.
      case ShutdownEvent _ -> relay.leaving();
      case ChannelInputShutdownEvent _, SslCloseCompletionEvent _ -> relay.callerIsDone();
      default -> ReferenceCountUtil.release(event);
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (relay == null) {
      ctx.fireExceptionCaught(cause);
    } else {
      relay.left(TunnelRelay.End.CALLER);
    }
  }

  private void head(ChannelHandlerContext ctx) {
    if (deadline == null) {
      deadline = in(ctx, shared.headTimeout(), () -> close(ctx));
    }
    if (!received.beginsLike(CONNECT)) {
      passOn(ctx);
      return;
    }
    int end = received.endOf(HEAD_END);
    if (end < 0 && received.size() <= LARGEST_HEAD) {
      return;
    }
    cancelDeadline();
    state = State.DECIDING;
    exchange = shared.exchanges().apply(why -> cut(ctx, why));
    if (end < 0 || end > LARGEST_HEAD) {
      refuse(ctx, ProblemCode.HEADERS_TOO_LARGE, "the head of CONNECT is too large");
    } else if (end < received.size()) {
      refuse(ctx, ProblemCode.INVALID_REQUEST, "bytes came before the answer");
    } else {
      decide(ctx, exchange, received.toString(StandardCharsets.ISO_8859_1));
    }
  }

  /** From here on the connection is one for requests that are not CONNECT. */
  private void passOn(ChannelHandlerContext ctx) {
    cancelDeadline();
    state = State.OPEN;
    ByteBuf bytes = Unpooled.wrappedBuffer(received.toByteArray());
    received.reset();
    ctx.fireChannelRead(bytes);
  }

  private void decide(ChannelHandlerContext ctx, Exchange opening, String head) {
    received.reset();
    var _ =
        shared
            .tunnels()
            .open(PeerCertificate.of(ctx.channel()), head, opening)
            .whenComplete((tunnel, failure) ->
                ctx.executor()
                    .execute(() -> {
                      if (state == State.DECIDING) {
                        decided(ctx, tunnel, failure);
                      } else {
                        // It ended before it was known whether it is on record.
                        opening.abandoned();
                      }
                    }));
  }

  private void decided(
      ChannelHandlerContext ctx, Tunnels.@Nullable Opened tunnel, @Nullable Throwable failure) {
    if (tunnel != null) {
      opened = tunnel;
      switch (tunnel) {
        case Tunnels.Interception _ -> established(ctx);
        case Tunnels.Passage passage -> connect(ctx, passage);
      }
    } else if (failure != null && Trace.cause(failure) instanceof RefusedException refused) {
      refuse(ctx, refused.code(), refused.detail());
    } else {
      log.error("A step of the forward proxy failed", failure);
      refuse(ctx, ProblemCode.INTERNAL, "a step failed unexpectedly");
    }
  }

  private void connect(ChannelHandlerContext ctx, Tunnels.Passage passage) {
    Exchange connecting = Objects.requireNonNull(exchange);
    connecting.admitted(passage.target().name());
    var _ =
        connecting
            .trace()
            .later("connect", () -> shared.dial().connect(ctx.channel().eventLoop(), passage))
            .whenComplete((upstream, failure) -> {
              if (state != State.DECIDING) {
                if (upstream != null) {
                  HardClose.now(upstream);
                }
              } else if (upstream == null) {
                decided(ctx, null, failure);
              } else {
                relay =
                    new TunnelRelay(
                        shared.relays(), connecting, ctx, upstream, passage.target().maxStream());
                established(ctx);
              }
            });
  }

  private void established(ChannelHandlerContext ctx) {
    state = State.HELLO;
    deadline =
        in(ctx, shared.handshakeTimeout(), () -> refuseInside(ctx, "no ClientHello came in time"));
    var _ = ctx.writeAndFlush(Unpooled.wrappedBuffer(ESTABLISHED));
  }

  private void hello(ChannelHandlerContext ctx, byte[] bytes) {
    switch (ClientHello.look(bytes)) {
      case ClientHello.Seen.Incomplete() -> {}
      case ClientHello.Seen.Bad(String detail) -> refuseInside(ctx, detail);
      case ClientHello.Seen.Complete(String name, boolean encrypted) -> {
        Tunnels.Opened tunnel = Objects.requireNonNull(opened);
        if (!tunnel.authority().host().equals(name)) {
          refuseInside(ctx, name == null ? "no server name" : "another server name");
          return;
        }
        switch (tunnel) {
          case Tunnels.Interception interception -> intercept(ctx, interception, bytes);
          case Tunnels.Passage _ -> pass(ctx, bytes);
        }
      }
    }
  }

  private void pass(ChannelHandlerContext ctx, byte[] hello) {
    cancelDeadline();
    state = State.RELAY;
    received.reset();
    // To the guard this is one exchange, for as long as it lasts.
    ctx.pipeline().get(WireGuardHandler.class).begun();
    Objects.requireNonNull(relay).start(hello);
  }

  private void intercept(ChannelHandlerContext ctx, Tunnels.Interception tunnel, byte[] hello) {
    cancelDeadline();
    state = State.OPEN;
    received.reset();
    SslHandler tls = tunnel.tls().newHandler(ctx.alloc());
    tls.setHandshakeTimeoutMillis(shared.handshakeTimeout().toMillis());
    ctx.pipeline().addAfter(ctx.name(), "tunnelTls", tls);
    tunnel.entrance().take(ctx.channel());
    tls.handshakeFuture()
        .addListener(done -> {
          if (!done.isSuccess()) {
            refuseInside(ctx, "TLS failed: " + done.cause().getClass().getSimpleName());
          } else if (ApplicationProtocolNames.HTTP_2.equals(tls.applicationProtocol())) {
            onHttp2.accept(ctx.pipeline());
          }
        });
    ctx.fireChannelRead(Unpooled.wrappedBuffer(hello));
  }

  /** After the 200 there is no answer that a program would read. */
  private void refuseInside(ChannelHandlerContext ctx, String detail) {
    drop(ctx, ProblemCode.INVALID_REQUEST, detail);
  }

  private void drop(ChannelHandlerContext ctx, ProblemCode code, String detail) {
    Exchange refused = end();
    if (refused != null) {
      var _ = refused.unserved(code, detail);
      shared.telemetry().unserved(refused, code, null);
    }
    close(ctx);
  }

  private void refuse(ChannelHandlerContext ctx, ProblemCode code, String detail) {
    Exchange refused = end();
    if (refused == null) {
      return;
    }
    var recorded = refused.unserved(code, detail);
    shared.telemetry().unserved(refused, code, null);
    var _ =
        recorded.thenAccept(
            id -> ctx.executor().execute(() -> answer(ctx, GatewayProblem.ofProxy(code, id))));
  }

  private static void answer(ChannelHandlerContext ctx, GatewayProblem problem) {
    byte[] body = problem.json().getBytes(StandardCharsets.UTF_8);
    String reason = problem.code().code().replace('_', ' ').toUpperCase(Locale.ROOT);
    StringBuilder head =
        new StringBuilder("HTTP/1.1 " + problem.code().status() + " " + reason + "\r\n");
    problem
        .fields()
        .list()
        .forEach(f -> head.append(f.name()).append(": ").append(f.value()).append("\r\n"));
    head.append("Connection: close\r\nContent-Length: ").append(body.length).append("\r\n\r\n");
    ByteBuf answer =
        Unpooled.wrappedBuffer(head.toString().getBytes(StandardCharsets.US_ASCII), body);
    var _ = ctx.writeAndFlush(answer).addListener(ChannelFutureListener.CLOSE);
  }

  /** The exchange of the CONNECT, the first time that it ends; null if it has ended before. */
  private @Nullable Exchange end() {
    cancelDeadline();
    state = State.ENDED;
    received.reset();
    Exchange ended = exchange;
    exchange = null;
    if (relay != null) {
      relay.abandon();
    }
    return ended;
  }

  /** Somebody outside ends the tunnel. What goes on in it is ended for itself, with its record. */
  private CompletableFuture<?> cut(ChannelHandlerContext ctx, Ending why) {
    var done = new CompletableFuture<Void>();
    ctx.executor()
        .execute(() -> {
          if (state == State.RELAY && relay != null) {
            relay.cut(why);
          } else if (state == State.HELLO) {
            drop(ctx, why.code(), why.detail());
          } else if (state != State.OPEN) {
            refuse(ctx, why.code(), why.detail());
          } else if (isBusy(ctx)) {
            var _ =
                in(ctx, Duration.ofMillis(LAST_WORDS_MILLIS), () -> HardClose.now(ctx.channel()));
          } else {
            HardClose.now(ctx.channel());
          }
          done.complete(null);
        });
    return done;
  }

  private static boolean isBusy(ChannelHandlerContext ctx) {
    Http2Caller caller = Http2Caller.of(ctx.channel());
    if (caller != null) {
      return caller.isBusy();
    }
    WireGuardHandler guard = ctx.pipeline().get(WireGuardHandler.class);
    return guard != null && guard.isBusy();
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    if (state == State.RELAY && relay != null) {
      relay.left(TunnelRelay.End.CALLER);
      ctx.fireChannelInactive();
      return;
    }
    Exchange ended = end();
    if (ended != null) {
      ended.abandoned();
    }
    ctx.fireChannelInactive();
  }

  private void cancelDeadline() {
    if (deadline != null) {
      deadline.cancel(false);
      deadline = null;
    }
  }

  private static void close(ChannelHandlerContext ctx) {
    var _ = ctx.close();
  }

  private static Future<?> in(ChannelHandlerContext ctx, Duration delay, Runnable action) {
    return ctx.executor().schedule(action, delay.toMillis(), TimeUnit.MILLISECONDS);
  }
}
