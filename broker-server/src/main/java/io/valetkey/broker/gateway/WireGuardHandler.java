package io.valetkey.broker.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import io.valetkey.broker.problem.ProblemCode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Puts a {@link WireGuard} before the HTTP parser of one connection, and gives a header section a
 * time in which it must be complete. What the guard refuses never reaches the parser.
 */
final class WireGuardHandler extends ChannelInboundHandlerAdapter {

  private final WireGuard guard = new WireGuard();
  private final Supplier<CompletableFuture<UUID>> onRefused;
  private final Duration headTimeout;
  private final Duration keepAlive;
  private @Nullable Future<?> headDeadline;
  private @Nullable Alarm idle;
  private @Nullable Alarm exchange;
  private @Nullable ChannelHandlerContext context;
  private int exchanges;
  private boolean refused;
  private boolean tunnel;

  /**
   * Guards one connection.
   *
   * @param onRefused puts the refusal on record and gives its decision id
   */
  WireGuardHandler(
      Supplier<CompletableFuture<UUID>> onRefused, Duration headTimeout, Duration keepAlive) {
    this.onRefused = onRefused;
    this.headTimeout = headTimeout;
    this.keepAlive = keepAlive;
  }

  /** An exchange began on this connection; call on its event loop. */
  void begun() {
    exchanges++;
    notIdle();
  }

  /** Whether an exchange is under way; call on the connection's event loop. */
  boolean isBusy() {
    return exchanges > 0;
  }

  /** For the deadlines of the exchanges of this connection, which come one after another. */
  Alarm exchangeAlarm() {
    return Objects.requireNonNull(exchange, "asked before the connection is there");
  }

  /** An exchange ended; call on the connection's event loop. */
  void ended() {
    exchanges--;
    ChannelHandlerContext own = context;
    if (own != null && !own.isRemoved()) {
      watchIdle(own);
    }
  }

  /**
   * What follows is not HTTP any more.
   *
   * @return false if the caller has sent something already, which nobody may take for frames
   */
  boolean tunnel() {
    tunnel = !refused && guard.isBetweenRequests();
    return tunnel;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
    idle = new Alarm(ctx.executor());
    exchange = new Alarm(ctx.executor());
    watchIdle(ctx);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object message) {
    if (tunnel || !(message instanceof ByteBuf bytes)) {
      ctx.fireChannelRead(message);
      return;
    }
    if (refused || !isAccepted(bytes)) {
      ReferenceCountUtil.release(message);
      if (!refused) {
        refuse(ctx);
      }
      return;
    }
    notIdle();
    watchHead(ctx);
    ctx.fireChannelRead(message);
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    cancel(headDeadline);
    for (Alarm alarm : new @Nullable Alarm[] {idle, exchange}) {
      if (alarm != null) {
        alarm.close();
      }
    }
  }

  private boolean isAccepted(ByteBuf bytes) {
    int at = bytes.readerIndex();
    while (at < bytes.writerIndex()) {
      long skippable = guard.skippable();
      if (skippable > 0) {
        int count = (int) Math.min(skippable, bytes.writerIndex() - at);
        guard.skip(count);
        at += count;
      } else if (!guard.accept(bytes.getByte(at++))) {
        return false;
      }
    }
    return true;
  }

  private void watchHead(ChannelHandlerContext ctx) {
    if (!guard.isInHead()) {
      cancel(headDeadline);
      headDeadline = null;
    } else if (headDeadline == null) {
      headDeadline = closeIn(ctx, headTimeout);
    }
  }

  private void watchIdle(ChannelHandlerContext ctx) {
    if (exchanges == 0 && idle != null) {
      idle.set(System.nanoTime() + keepAlive.toNanos(), () -> close(ctx));
    }
  }

  private void notIdle() {
    if (idle != null) {
      idle.clear();
    }
  }

  private static void close(ChannelHandlerContext ctx) {
    var _ = ctx.close();
  }

  private static Future<?> closeIn(ChannelHandlerContext ctx, Duration delay) {
    return ctx.executor().schedule(() -> close(ctx), delay.toMillis(), TimeUnit.MILLISECONDS);
  }

  private static void cancel(@Nullable Future<?> deadline) {
    if (deadline != null) {
      deadline.cancel(false);
    }
  }

  private void refuse(ChannelHandlerContext ctx) {
    refused = true;
    cancel(headDeadline);
    if (exchanges > 0) {
      // An answer may be under way, and nothing of ours may get into it.
      var _ = ctx.close();
    }
    var _ = onRefused.get().thenAccept(id -> ctx.executor().execute(() -> answer(ctx, id)));
  }

  private static void answer(ChannelHandlerContext ctx, UUID id) {
    GatewayProblem problem = GatewayProblem.of(ProblemCode.INVALID_REQUEST, id);
    byte[] body = problem.json().getBytes(StandardCharsets.UTF_8);
    StringBuilder head = new StringBuilder("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n");
    problem
        .fields()
        .list()
        .forEach(f -> head.append(f.name()).append(": ").append(f.value()).append("\r\n"));
    head.append("Content-Length: ").append(body.length).append("\r\n\r\n");
    ByteBuf answer =
        Unpooled.wrappedBuffer(head.toString().getBytes(StandardCharsets.US_ASCII), body);
    // From the end of the pipeline before us: the encoder would take the bytes for a message.
    var _ = ctx.writeAndFlush(answer).addListener(ChannelFutureListener.CLOSE);
  }
}
