package io.valetkey.broker.gateway;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.handler.proxy.HttpProxyHandler;
import io.netty.util.concurrent.Future;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.vertx.core.Vertx;
import io.vertx.core.internal.VertxInternal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/**
 * Connects tunnels to their destinations, at an address that was checked or through the network's
 * own proxy. What comes of it is a bare connection: nothing is read from it and nothing was written
 * to it, and each of its directions can end by itself.
 */
final class TunnelDial {

  private final Vertx vertx;
  private final Egress egress;
  private final Duration timeout;
  private final Semaphore free;

  /**
   * Makes one.
   *
   * @param timeout how long one attempt may take
   * @param most how many tunnels may be open at once
   */
  TunnelDial(Vertx vertx, Egress egress, Duration timeout, int most) {
    this.vertx = vertx;
    this.egress = egress;
    this.timeout = timeout;
    this.free = new Semaphore(most);
  }

  /**
   * Connects to the first of the addresses that answers.
   *
   * @param loop the event loop of the caller's connection; the new one is on it too
   * @return fails with a {@link RefusedException} if none answers, or too many are open
   */
  CompletableFuture<Channel> connect(EventLoop loop, Tunnels.Passage passage) {
    if (!free.tryAcquire()) {
      return CompletableFuture.failedFuture(
          new RefusedException(
              ProblemCode.RATE_LIMITED, "the gateway has as many tunnels open as it may"));
    }
    var answer = new CompletableFuture<Channel>();
    var _ =
        answer.whenComplete((channel, failure) -> {
          if (channel == null) {
            free.release();
          } else {
            channel.closeFuture().addListener(closed -> free.release());
          }
        });
    attempt(loop, passage.target(), passage.addresses().iterator(), answer);
    return answer;
  }

  private void attempt(
      EventLoop loop,
      Destination target,
      Iterator<InetAddress> addresses,
      CompletableFuture<Channel> answer) {
    InetAddress address = addresses.next();
    UpstreamProxy proxy = egress.proxy(target);
    HttpProxyHandler through = proxy == null ? null : handler(proxy, address);
    var connected =
        bootstrap(loop, through == null ? new ChannelInboundHandlerAdapter() : through)
            .connect(
                through == null
                    ? new InetSocketAddress(address, target.port())
                    : InetSocketAddress.createUnresolved(target.host(), target.port()));
    // Through a proxy there is a connection before there is a way.
    Future<?> done = through == null ? connected : through.connectFuture();
    connected.addListener(c -> {
      if (!c.isSuccess()) {
        failed(loop, target, addresses, answer, c.cause());
        return;
      }
      done.addListener(way -> {
        if (!way.isSuccess()) {
          var _ = connected.channel().close();
          failed(loop, target, addresses, answer, way.cause());
        } else {
          answer.complete(connected.channel());
        }
      });
    });
  }

  private void failed(
      EventLoop loop,
      Destination target,
      Iterator<InetAddress> addresses,
      CompletableFuture<Channel> answer,
      @Nullable Throwable cause) {
    // Nothing was sent, so the next checked address may be tried.
    if (addresses.hasNext()) {
      attempt(loop, target, addresses, answer);
      return;
    }
    String kind = cause == null ? "unknown" : cause.getClass().getSimpleName();
    answer.completeExceptionally(
        new RefusedException(ProblemCode.UPSTREAM_UNREACHABLE, "could not connect: " + kind));
  }

  private Bootstrap bootstrap(EventLoop loop, ChannelHandler first) {
    return new Bootstrap()
        .group(loop)
        .channelFactory(((VertxInternal) vertx).transport().channelFactory(false))
        .disableResolver()
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) timeout.toMillis())
        .option(ChannelOption.AUTO_READ, false)
        .option(ChannelOption.ALLOW_HALF_CLOSURE, true)
        .option(ChannelOption.TCP_NODELAY, true)
        .handler(first);
  }

  private HttpProxyHandler handler(UpstreamProxy proxy, InetAddress address) {
    var at = new InetSocketAddress(address, proxy.port());
    SecretValue password = proxy.password();
    HttpProxyHandler handler =
        password == null
            ? new HttpProxyHandler(at)
            : new HttpProxyHandler(at, String.valueOf(proxy.user()), password.reveal());
    handler.setConnectTimeoutMillis(timeout.toMillis());
    return handler;
  }
}
