package io.valetkey.broker.gateway;

import static io.valetkey.broker.gateway.WebSocketFrames.BAD_GATEWAY;
import static io.valetkey.broker.gateway.WebSocketFrames.CLOSE;
import static io.valetkey.broker.gateway.WebSocketFrames.CONTINUATION;
import static io.valetkey.broker.gateway.WebSocketFrames.GOING_AWAY;
import static io.valetkey.broker.gateway.WebSocketFrames.POLICY;
import static io.valetkey.broker.gateway.WebSocketFrames.PROTOCOL_ERROR;

import io.netty.channel.Channel;
import io.valetkey.broker.problem.ProblemCode;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.NetSocket;
import io.vertx.core.net.impl.ConnectionBase;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Passes the frames of one WebSocket on, in both directions, after the handshakes on both sides.
 * Each side is read frame by frame and written frame by frame, so a cut is always on the boundary
 * of a frame, and what the upstream sends passes the scrubber across frames. Lives on the event
 * loop of the caller's connection.
 */
final class WebSocketRelay {

  /** How long the other side may take to answer a close frame. */
  private static final Duration CLOSING = Duration.ofSeconds(5);

  /** How long a caller that is cut has to read why, before what it has not read is thrown away. */
  private static final long LAST_WORD_MILLIS = 50;

  private static final long POLITE_MILLIS = 200;

  private static final SecureRandom RANDOM = new SecureRandom();

  private final Conversation conversation;
  private final NetSocket caller;
  private final NetSocket upstream;
  private final Channel callersChannel;
  private final HttpConnection connection;
  private final Scrubber scrubber;
  private final Scrubber.Stream scrubbed;
  private final Duration idle;
  private final WebSocketFrames fromCaller;
  private final WebSocketFrames fromUpstream;
  private final byte[] masks = new byte[1024];
  private int maskAt = masks.length;
  private int openingOpcode;
  private boolean toldCaller;
  private boolean toldUpstream;
  private int closeCode;

  WebSocketRelay(
      Conversation conversation,
      NetSocket caller,
      NetSocket upstream,
      Admission.Admitted admitted,
      Scrubber scrubber,
      Duration idle) {
    this.conversation = conversation;
    this.caller = caller;
    this.upstream = upstream;
    this.connection = conversation.request().connection();
    this.callersChannel = ((ConnectionBase) connection).channel();
    this.scrubber = scrubber;
    this.scrubbed = scrubber.stream();
    this.idle = idle;
    this.fromCaller =
        new WebSocketFrames(true, admitted.destination().maxRequestBody(), new FromCaller());
    this.fromUpstream = new WebSocketFrames(false, Long.MAX_VALUE, new FromUpstream());
  }

  /** Starts; both sides are paused until here. */
  void start() {
    conversation.tunnel(this::cut);
    caller.exceptionHandler(e -> conversation.abandoned());
    caller.closeHandler(v -> callerLeft());
    // When the server drains; with nobody to ask it would close the connection at once.
    caller.shutdownHandler(within -> goAway());
    upstream.exceptionHandler(e -> {});
    upstream.closeHandler(v -> upstreamLeft());
    caller.handler(bytes -> read(fromCaller, bytes, true));
    upstream.handler(bytes -> read(fromUpstream, bytes, false));
    moved();
    caller.resume();
    upstream.resume();
  }

  /** This gateway ends: both sides are told, and have a moment to say good-bye. Any thread. */
  void goAway() {
    conversation
        .context()
        .runOnContext(v -> {
          if (!conversation.hasEnded()) {
            closeCode = GOING_AWAY;
            tellCaller(WebSocketFrames.closing(GOING_AWAY));
            tellUpstream(WebSocketFrames.closing(GOING_AWAY));
          }
        });
  }

  private void read(WebSocketFrames side, Buffer bytes, boolean callers) {
    if (!conversation.mayPassOn()) {
      return;
    }
    moved();
    try {
      side.feed(bytes.getBytes());
      endIfBothClosed();
    } catch (WebSocketViolation e) {
      String detail = "not WebSocket frames: " + e.getMessage();
      if (callers) {
        closeCode = e.closeCode();
        conversation.fail(ProblemCode.INVALID_REQUEST, detail);
      } else {
        conversation.fail(ProblemCode.UPSTREAM_BROKEN, detail);
      }
    }
  }

  private void moved() {
    boolean closing = toldCaller || toldUpstream;
    conversation.expect(closing ? CLOSING : idle, ProblemCode.UPSTREAM_TIMEOUT);
  }

  private final class FromCaller implements WebSocketFrames.Sink {

    @Override
    public void data(int opcode, boolean last, byte[] payload) {
      if (!toldUpstream && conversation.mayPassOn()) {
        conversation.exchange().passedToUpstream(payload.length);
        writeUpstream(opcode, last, payload);
      }
    }

    @Override
    public void control(int opcode, byte[] payload) {
      if (opcode == CLOSE) {
        noteClose(payload);
        tellUpstream(payload);
      } else if (!toldUpstream && conversation.mayPassOn()) {
        writeUpstream(opcode, true, payload);
      }
    }
  }

  private final class FromUpstream implements WebSocketFrames.Sink {

    @Override
    public void data(int opcode, boolean last, byte[] payload) {
      if (opcode != CONTINUATION) {
        openingOpcode = opcode;
      }
      byte[] clean = scrubbed.feed(payload);
      if (last) {
        byte[] rest = scrubbed.flush();
        clean = rest.length == 0 ? clean : joined(clean, rest);
      } else if (clean.length == 0 && payload.length > 0) {
        // All of it may still become the credential; it comes with what follows.
        return;
      }
      if (!toldCaller && conversation.mayPassOn()) {
        conversation.exchange().passedToCaller(clean.length);
        writeCaller(openingOpcode, last, clean);
        openingOpcode = CONTINUATION;
      }
    }

    @Override
    public void control(int opcode, byte[] payload) {
      Scrubber.Stream own = scrubber.stream();
      byte[] clean = joined(own.feed(payload), own.end());
      if (opcode == CLOSE) {
        noteClose(clean);
        tellCaller(clean);
      } else if (!toldCaller && conversation.mayPassOn()) {
        writeCaller(opcode, true, clean);
      }
    }
  }

  private void writeCaller(int opcode, boolean last, byte[] payload) {
    var _ = caller.write(Buffer.buffer(WebSocketFrames.frame(opcode, last, payload, null)));
    if (caller.writeQueueFull()) {
      upstream.pause();
      caller.drainHandler(v -> {
        moved();
        upstream.resume();
      });
    }
  }

  private void writeUpstream(int opcode, boolean last, byte[] payload) {
    var _ = upstream.write(Buffer.buffer(WebSocketFrames.frame(opcode, last, payload, nextMask())));
    if (upstream.writeQueueFull()) {
      caller.pause();
      upstream.drainHandler(v -> {
        moved();
        caller.resume();
      });
    }
  }

  /**
   * Of our own making: whoever knows the mask could choose what the bytes on the wire look like.
   */
  private byte[] nextMask() {
    if (maskAt == masks.length) {
      RANDOM.nextBytes(masks);
      maskAt = 0;
    }
    byte[] mask = {masks[maskAt], masks[maskAt + 1], masks[maskAt + 2], masks[maskAt + 3]};
    maskAt += mask.length;
    return mask;
  }

  private void noteClose(byte[] payload) {
    if (closeCode == 0) {
      closeCode = WebSocketFrames.closeCode(payload);
    }
  }

  private void tellCaller(byte[] payload) {
    if (!toldCaller && conversation.mayPassOn()) {
      toldCaller = true;
      writeCaller(CLOSE, true, payload);
      moved();
    }
  }

  private void tellUpstream(byte[] payload) {
    if (!toldUpstream && conversation.mayPassOn()) {
      toldUpstream = true;
      writeUpstream(CLOSE, true, payload);
      moved();
    }
  }

  /** A good end: each side has said that it closes and has been told that the other does. */
  private void endIfBothClosed() {
    if (fromCaller.isClosed() && fromUpstream.isClosed() && conversation.closed(closeCode)) {
      closeCaller();
      var _ = upstream.close();
    }
  }

  private void callerLeft() {
    conversation.abandoned();
  }

  private void upstreamLeft() {
    if (fromUpstream.isClosed() && toldCaller && conversation.closed(closeCode)) {
      // It did not wait for the caller's word, and need not.
      closeCaller();
      return;
    }
    conversation.fail(ProblemCode.UPSTREAM_BROKEN, "the upstream left without a close frame");
  }

  /** The conversation has failed with this; the upstream's side is ended already. */
  private void cut(ProblemCode code) {
    @Nullable Integer word =
        switch (code) {
          case STOPPED -> POLICY;
          case STOPS_STALE -> null;
          case INVALID_REQUEST -> closeCode == 0 ? PROTOCOL_ERROR : closeCode;
          case UPSTREAM_TIMEOUT -> GOING_AWAY;
          default -> BAD_GATEWAY;
        };
    if (word == null || toldCaller || hasPendingBytes()) {
      // Nobody can be told anything before what already waits, and that must not be delivered.
      HardClose.of(connection);
      return;
    }
    toldCaller = true;
    byte[] frame = WebSocketFrames.frame(CLOSE, true, WebSocketFrames.closing(word), null);
    var _ = caller.write(Buffer.buffer(frame));
    // Read on, so that what the caller still sends does not become a reset before it reads this.
    caller.handler(ignored -> {});
    caller.resume();
    boolean hard = code == ProblemCode.STOPPED;
    long delay = hard ? LAST_WORD_MILLIS : POLITE_MILLIS;
    Runnable close = hard ? () -> HardClose.of(connection) : this::closeCaller;
    var _ = callersChannel.eventLoop().schedule(close, delay, TimeUnit.MILLISECONDS);
  }

  /** By the channel: a socket with a handler for its shutdown would only ask that one again. */
  private void closeCaller() {
    var _ = callersChannel.close();
  }

  private boolean hasPendingBytes() {
    var buffer = callersChannel.unsafe().outboundBuffer();
    return buffer == null || buffer.totalPendingWriteBytes() > 0;
  }

  private static byte[] joined(byte[] first, byte[] second) {
    if (second.length == 0) {
      return first;
    }
    byte[] joined = java.util.Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, joined, first.length, second.length);
    return joined;
  }
}
