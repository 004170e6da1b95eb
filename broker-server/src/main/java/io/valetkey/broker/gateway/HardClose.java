package io.valetkey.broker.gateway;

import io.netty.channel.Channel;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelOutboundBuffer;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;

/**
 * Ends a connection at once, so that nothing which still waits is delivered. An ordinary close
 * waits until everything was written, which a peer that does not read can put off for ever, and
 * leaves megabytes in the kernel for it to read later. The peer sees a reset.
 */
final class HardClose {

  private HardClose() {}

  /** Safe on any thread; the connection must not be shared by exchanges. */
  static void of(HttpConnection connection) {
    Channel channel = ((ConnectionBase) connection).channel();
    if (channel.eventLoop().inEventLoop()) {
      now(channel);
    } else {
      channel.eventLoop().execute(() -> now(channel));
    }
  }

  /**
   * The same for a connection that streams share, on its event loop, and only if something waits on
   * it: a peer that does not read would get what came before a reset whenever it likes.
   */
  static void ifStuck(HttpConnection connection) {
    Channel channel = ((ConnectionBase) connection).channel();
    ChannelOutboundBuffer waiting = channel.unsafe().outboundBuffer();
    if (waiting != null && waiting.totalPendingWriteBytes() > 0) {
      now(channel);
    }
  }

  /** The same, on the connection's own event loop. */
  static void now(Channel channel) {
    if (channel.isOpen()) {
      // Throws away what the kernel holds.
      channel.config().setOption(ChannelOption.SO_LINGER, 0);
      // Not through the pipeline: TLS would wait for its closing alert to be written.
      channel.unsafe().close(channel.newPromise());
    }
  }
}
