package io.valetkey.broker.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Reads the frames of one direction of a WebSocket as strictly as RFC 6455 is written, and hands
 * them on unmasked. A data frame of more than {@link #PIECE} bytes comes as several, which is a
 * fragmentation that an intermediary without extensions may make (section 5.4); no more than that
 * is ever kept.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc6455#section-5">RFC 6455 section 5</a>
 */
final class WebSocketFrames {

  static final int CONTINUATION = 0;
  static final int TEXT = 1;
  static final int BINARY = 2;
  static final int CLOSE = 8;
  static final int PING = 9;
  static final int PONG = 10;

  static final int NORMAL = 1000;
  static final int GOING_AWAY = 1001;
  static final int PROTOCOL_ERROR = 1002;

  /** Never sent: no close frame came, or there was no code in it. */
  static final int NO_CODE = 1005;

  static final int NO_CLOSE_FRAME = 1006;
  static final int INVALID_DATA = 1007;
  static final int POLICY = 1008;
  static final int TOO_BIG = 1009;

  /** Registered by IANA: what a gateway says about the server behind it. */
  static final int BAD_GATEWAY = 1014;

  /** The largest payload of a frame that is handed on. */
  static final int PIECE = 16 * 1024;

  private static final int FIN = 0x80;
  private static final int RESERVED = 0x70;
  private static final int MASKED = 0x80;
  private static final int LONGEST_CONTROL = 125;
  private static final int LENGTH_16 = 126;
  private static final int LENGTH_64 = 127;
  private static final int LENGTH_64_BYTES = 8;

  /** Takes what was read. */
  interface Sink {

    /** A frame of a message; the first of one has its opcode, the others {@link #CONTINUATION}. */
    void data(int opcode, boolean last, byte[] payload);

    /** A ping, a pong or the close frame, after which nothing more is handed on. */
    void control(int opcode, byte[] payload);
  }

  private enum State {
    FIRST,
    SECOND,
    LENGTH,
    MASK,
    PAYLOAD
  }

  private final boolean masked;
  private final long largestMessage;
  private final Sink sink;
  private State state = State.FIRST;
  private boolean last;
  private int opcode;
  private int more;
  private boolean wide;
  private long missing;
  private final byte[] mask = new byte[4];
  private int maskAt;
  private byte[] piece = new byte[0];
  private int filled;
  private boolean inMessage;
  private boolean begun;
  private long message;
  private boolean closed;

  /**
   * Reads one direction.
   *
   * @param masked whether its frames must be masked, which is so from a client and not from a
   *     server
   * @param largestMessage how many bytes a message may have
   */
  WebSocketFrames(boolean masked, long largestMessage, Sink sink) {
    this.masked = masked;
    this.largestMessage = largestMessage;
    this.sink = sink;
  }

  /** Whether the close frame was read; whatever follows it is passed over (section 5.5.1). */
  boolean isClosed() {
    return closed;
  }

  /**
   * Reads on.
   *
   * @throws WebSocketViolation if the bytes are not what may come here; nothing may be fed then
   */
  void feed(byte[] bytes) throws WebSocketViolation {
    int at = 0;
    while (at < bytes.length && !closed) {
      if (state == State.PAYLOAD) {
        at += payload(bytes, at);
      } else {
        head(bytes[at++] & 0xff);
      }
    }
  }

  private void head(int b) throws WebSocketViolation {
    switch (state) {
      case FIRST -> first(b);
      case SECOND -> second(b);
      case LENGTH -> length(b);
      case MASK -> {
        mask[4 - more] = (byte) b;
        if (--more == 0) {
          payloadBegins();
        }
      }
      case PAYLOAD -> throw new IllegalStateException();
    }
  }

  private void first(int b) throws WebSocketViolation {
    if ((b & RESERVED) != 0) {
      throw wrong("a reserved bit is set, and no extension was agreed on");
    }
    last = (b & FIN) != 0;
    opcode = b & 0x0f;
    switch (opcode) {
      case CONTINUATION -> require(inMessage, "a continuation without a beginning");
      case TEXT, BINARY -> require(!inMessage, "a message begins within a message");
      case CLOSE, PING, PONG -> require(last, "a control frame is fragmented");
      default -> throw wrong("the opcode is not defined");
    }
    state = State.SECOND;
  }

  private void second(int b) throws WebSocketViolation {
    require((b & MASKED) != 0 == masked, masked ? "a frame is not masked" : "a frame is masked");
    int length = b & 0x7f;
    require(!isControl() || length <= LONGEST_CONTROL, "a control frame is too long");
    missing = length;
    wide = length == LENGTH_64;
    if (length >= LENGTH_16) {
      missing = 0;
      more = wide ? LENGTH_64_BYTES : 2;
      state = State.LENGTH;
    } else {
      lengthRead();
    }
  }

  private void length(int b) throws WebSocketViolation {
    require(!wide || more < LENGTH_64_BYTES || b < 0x80, "the length has its highest bit set");
    missing = (missing << 8) | b;
    if (--more == 0) {
      require(
          missing > (wide ? 0xffff : LONGEST_CONTROL),
          "the length is not written in the least way");
      lengthRead();
    }
  }

  private void lengthRead() throws WebSocketViolation {
    if (!isControl()) {
      if (opcode != CONTINUATION) {
        message = 0;
        begun = false;
      }
      if (missing > largestMessage - message) {
        throw new WebSocketViolation(TOO_BIG, "a message is larger than allowed");
      }
      message += missing;
      inMessage = !last;
    }
    if (masked) {
      more = 4;
      state = State.MASK;
    } else {
      payloadBegins();
    }
  }

  private void payloadBegins() throws WebSocketViolation {
    maskAt = 0;
    filled = 0;
    piece = new byte[(int) Math.min(missing, PIECE)];
    state = State.PAYLOAD;
    if (missing == 0) {
      complete();
    }
  }

  private int payload(byte[] bytes, int from) throws WebSocketViolation {
    int count = Math.min(piece.length - filled, bytes.length - from);
    System.arraycopy(bytes, from, piece, filled, count);
    if (masked) {
      for (int i = filled; i < filled + count; i++) {
        piece[i] ^= mask[maskAt++ & 3];
      }
    }
    filled += count;
    missing -= count;
    if (missing == 0) {
      complete();
    } else if (filled == piece.length) {
      data(false);
      piece = new byte[(int) Math.min(missing, PIECE)];
      filled = 0;
    }
    return count;
  }

  private void complete() throws WebSocketViolation {
    byte[] whole = piece;
    state = State.FIRST;
    if (!isControl()) {
      data(last);
    } else if (opcode == CLOSE) {
      checkClose(whole);
      closed = true;
      sink.control(opcode, whole);
    } else {
      sink.control(opcode, whole);
    }
    piece = new byte[0];
  }

  private void data(boolean end) {
    int as = begun ? CONTINUATION : opcode;
    begun = true;
    sink.data(as, end, piece);
  }

  private boolean isControl() {
    return opcode >= CLOSE;
  }

  private static void checkClose(byte[] payload) throws WebSocketViolation {
    if (payload.length == 0) {
      return;
    }
    require(payload.length > 1, "half a close code");
    int code = closeCode(payload);
    require(isCloseCode(code), "a close code that nobody may send");
    try {
      var _ =
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(payload, 2, payload.length - 2));
    } catch (CharacterCodingException e) {
      throw new WebSocketViolation(INVALID_DATA, "the reason of a close frame is not UTF-8");
    }
  }

  /** Those of section 7.4.1 that travel, what IANA registered since, and 3000 to 4999. */
  static boolean isCloseCode(int code) {
    return (code >= NORMAL && code <= 1003)
        || (code >= INVALID_DATA && code <= BAD_GATEWAY)
        || (code >= 3000 && code <= 4999);
  }

  /**
   * Writes one frame.
   *
   * @param mask four bytes to mask it with, as a client must; null for a server's frame
   */
  static byte[] frame(int opcode, boolean last, byte[] payload, byte @Nullable [] mask) {
    int length = payload.length;
    int lengthBytes = length <= LONGEST_CONTROL ? 0 : length <= 0xffff ? 2 : LENGTH_64_BYTES;
    int head = 2 + lengthBytes + (mask == null ? 0 : 4);
    byte[] frame = new byte[head + length];
    frame[0] = (byte) ((last ? FIN : 0) | opcode);
    int marker =
        switch (lengthBytes) {
          case 0 -> length;
          case 2 -> LENGTH_16;
          default -> LENGTH_64;
        };
    frame[1] = (byte) ((mask == null ? 0 : MASKED) | marker);
    for (int i = 0; i < lengthBytes; i++) {
      frame[2 + i] = (byte) ((long) length >>> (8 * (lengthBytes - 1 - i)));
    }
    System.arraycopy(payload, 0, frame, head, length);
    if (mask != null) {
      System.arraycopy(mask, 0, frame, head - 4, 4);
      for (int i = 0; i < length; i++) {
        frame[head + i] ^= mask[i & 3];
      }
    }
    return frame;
  }

  /** The payload of a close frame with this code and no reason. */
  static byte[] closing(int code) {
    return new byte[] {(byte) (code >> 8), (byte) code};
  }

  /** The code of a close frame's payload; 1005 if it has none (section 7.4.1). */
  static int closeCode(byte[] payload) {
    return payload.length < 2 ? NO_CODE : ((payload[0] & 0xff) << 8) | (payload[1] & 0xff);
  }

  private static void require(boolean right, String otherwise) throws WebSocketViolation {
    if (!right) {
      throw wrong(otherwise);
    }
  }

  private static WebSocketViolation wrong(String what) {
    return new WebSocketViolation(PROTOCOL_ERROR, what);
  }
}
