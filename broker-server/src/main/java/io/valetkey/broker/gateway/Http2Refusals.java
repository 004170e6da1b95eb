package io.valetkey.broker.gateway;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2FrameTypes;
import io.valetkey.broker.problem.ProblemCode;
import java.util.function.Consumer;

/**
 * Sees what the HTTP/2 engine refuses by itself, before there is an exchange, so that it is put on
 * record like everything that is refused. It reads the heads of the frames that go out (RFC 9113
 * section 4.1): an answer on a stream that nobody has begun, a stream or a connection that ends
 * with an error of the caller's. Put into a pipeline between two frames.
 */
final class Http2Refusals extends ChannelOutboundHandlerAdapter {

  private static final int HEAD = 9;
  private static final int CODE = 4;

  private final Consumer<ProblemCode> onRefused;
  private final byte[] seen = new byte[HEAD + 2 * CODE];
  private int known;
  private int needed = HEAD;
  private int skip;
  private long lastBegun;

  Http2Refusals(Consumer<ProblemCode> onRefused) {
    this.onRefused = onRefused;
  }

  /** An exchange began on this stream; from here on it is answered for. */
  void begun(long stream) {
    lastBegun = Math.max(lastBegun, stream);
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
    if (message instanceof ByteBuf bytes) {
      look(bytes);
    }
    var _ = ctx.write(message, promise);
  }

  private void look(ByteBuf bytes) {
    int at = bytes.readerIndex();
    while (at < bytes.writerIndex()) {
      if (skip > 0) {
        int passed = Math.min(skip, bytes.writerIndex() - at);
        skip -= passed;
        at += passed;
      } else {
        seen[known++] = bytes.getByte(at++);
        if (known == needed) {
          complete();
        }
      }
    }
  }

  /** The head is there, and of a frame that ends something its error too. */
  private void complete() {
    int length = number(0) >>> 8;
    int type = seen[3];
    if (known == HEAD && type == Http2FrameTypes.RST_STREAM) {
      needed = HEAD + CODE;
      return;
    }
    if (known == HEAD && type == Http2FrameTypes.GO_AWAY) {
      needed = HEAD + 2 * CODE;
      return;
    }
    skip = length - (known - HEAD);
    judge(type);
    known = 0;
    needed = HEAD;
  }

  private void judge(int type) {
    boolean unseen = (number(HEAD - CODE) & Integer.MAX_VALUE) > lastBegun;
    if (type == Http2FrameTypes.HEADERS && unseen) {
      // The one thing that the engine answers instead of us.
      onRefused.accept(ProblemCode.HEADERS_TOO_LARGE);
    } else if (type == Http2FrameTypes.RST_STREAM
        && unseen
        && number(HEAD) != Http2Error.REFUSED_STREAM.code()) {
      onRefused.accept(ProblemCode.INVALID_REQUEST);
    } else if (type == Http2FrameTypes.GO_AWAY && number(HEAD + CODE) != 0) {
      onRefused.accept(ProblemCode.INVALID_REQUEST);
    }
  }

  private int number(int at) {
    return (seen[at] & 0xff) << 24
        | (seen[at + 1] & 0xff) << 16
        | (seen[at + 2] & 0xff) << 8
        | (seen[at + 3] & 0xff);
  }
}
