package io.valetkey.broker.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Looks into the first message of a TLS client without answering it, however it is split into
 * records. It must be one well-formed ClientHello, and nothing may follow it.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2">RFC 8446 section 4.1.2</a>
 */
final class ClientHello {

  /** How many bytes are looked at; a longer message is refused. */
  static final int LARGEST = 16 * 1024;

  /** What a look at the bytes so far has shown. */
  sealed interface Seen {
    /** More bytes are needed. */
    record Incomplete() implements Seen {}

    /**
     * It is not what it must be.
     *
     * @param detail one sentence
     */
    record Bad(String detail) implements Seen {}

    /**
     * It is complete.
     *
     * @param serverName the name that is asked for; null if none is
     * @param encrypted whether it offers another, encrypted one (ECH, or its forerunner)
     */
    record Complete(@Nullable String serverName, boolean encrypted) implements Seen {}
  }

  private static final Seen INCOMPLETE = new Seen.Incomplete();
  private static final int HANDSHAKE = 22;
  private static final int CLIENT_HELLO = 1;
  private static final int RECORD_HEAD = 5;
  private static final int MESSAGE_HEAD = 4;
  private static final int RANDOM = 32;
  private static final int SERVER_NAME = 0;
  private static final int ENCRYPTED_CLIENT_HELLO = 0xfe0d;
  private static final int ENCRYPTED_SERVER_NAME = 0xffce;

  private static final class Malformed extends Exception {
    private static final long serialVersionUID = 1;

    Malformed(String detail) {
      super(detail);
    }
  }

  private ClientHello() {}

  /** Looks at all bytes that the client has sent so far. */
  static Seen look(byte[] bytes) {
    if (bytes.length > LARGEST) {
      return new Seen.Bad("the ClientHello is too large");
    }
    try {
      byte[] message = message(bytes);
      return message == null ? INCOMPLETE : read(ByteBuffer.wrap(message));
    } catch (Malformed e) {
      return new Seen.Bad(String.valueOf(e.getMessage()));
    } catch (java.nio.BufferUnderflowException e) {
      return new Seen.Bad("a length in the ClientHello is wrong");
    }
  }

  /** The body of the message without records and heads, or null if it is not complete. */
  private static byte @Nullable [] message(byte[] bytes) throws Malformed {
    byte[] message = new byte[bytes.length];
    int length = 0;
    int at = 0;
    while (true) {
      if (at < bytes.length && bytes[at] != HANDSHAKE) {
        throw new Malformed("it is not TLS");
      }
      if (bytes.length - at < RECORD_HEAD) {
        return null;
      }
      int fragment = number(bytes, at + 3, 2);
      boolean version = bytes[at + 1] == 3 && bytes[at + 2] >= 1 && bytes[at + 2] <= 3;
      if (!version || fragment == 0 || fragment > LARGEST) {
        throw new Malformed("the TLS record has another version or length than there is");
      }
      int end = Math.min(bytes.length, at + RECORD_HEAD + fragment);
      int there = end - at - RECORD_HEAD;
      System.arraycopy(bytes, at + RECORD_HEAD, message, length, there);
      length += there;
      if (length > 0 && message[0] != CLIENT_HELLO) {
        throw new Malformed("the first message is not a ClientHello");
      }
      boolean whole = there == fragment;
      int wanted = length < MESSAGE_HEAD ? LARGEST : MESSAGE_HEAD + number(message, 1, 3);
      if (wanted > LARGEST) {
        throw new Malformed("the ClientHello is too large");
      }
      if (length > wanted || (length == wanted && end < bytes.length)) {
        throw new Malformed("something follows the ClientHello");
      }
      if (length == wanted && whole) {
        return java.util.Arrays.copyOfRange(message, MESSAGE_HEAD, wanted);
      }
      if (!whole) {
        return null;
      }
      at = end;
    }
  }

  private static Seen read(ByteBuffer body) throws Malformed {
    if (number(body, 2) != 0x0303) {
      throw new Malformed("the ClientHello is of another version");
    }
    skip(body, RANDOM);
    ByteBuffer session = take(body, 1);
    ByteBuffer ciphers = take(body, 2);
    ByteBuffer compressions = take(body, 1);
    if (session.remaining() > 32
        || ciphers.remaining() < 2
        || ciphers.remaining() % 2 != 0
        || !compressions.hasRemaining()) {
      throw new Malformed("the ClientHello is not well formed");
    }
    ByteBuffer extensions = body.hasRemaining() ? take(body, 2) : ByteBuffer.allocate(0);
    if (body.hasRemaining()) {
      throw new Malformed("something stands behind the extensions");
    }
    Set<Integer> seen = new HashSet<>();
    String name = null;
    while (extensions.hasRemaining()) {
      int type = number(extensions, 2);
      ByteBuffer content = take(extensions, 2);
      if (!seen.add(type)) {
        throw new Malformed("an extension is there twice");
      }
      if (type == SERVER_NAME) {
        name = serverName(content);
      }
    }
    boolean encrypted =
        seen.contains(ENCRYPTED_CLIENT_HELLO) || seen.contains(ENCRYPTED_SERVER_NAME);
    return new Seen.Complete(name, encrypted);
  }

  private static String serverName(ByteBuffer content) throws Malformed {
    ByteBuffer list = take(content, 2);
    if (content.hasRemaining() || !list.hasRemaining() || list.get() != 0) {
      throw new Malformed("the server name is not one host name");
    }
    ByteBuffer name = take(list, 2);
    if (list.hasRemaining() || !name.hasRemaining()) {
      throw new Malformed("the server name is not one host name");
    }
    byte[] bytes = new byte[name.remaining()];
    name.get(bytes);
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }

  private static ByteBuffer take(ByteBuffer from, int lengthBytes) {
    int length = number(from, lengthBytes);
    if (length > from.remaining()) {
      throw new java.nio.BufferUnderflowException();
    }
    ByteBuffer taken = from.slice(from.position(), length);
    from.position(from.position() + length);
    return taken;
  }

  private static void skip(ByteBuffer from, int count) {
    if (count > from.remaining()) {
      throw new java.nio.BufferUnderflowException();
    }
    from.position(from.position() + count);
  }

  private static int number(ByteBuffer from, int bytes) {
    int number = 0;
    for (int i = 0; i < bytes; i++) {
      number = (number << 8) | (from.get() & 0xff);
    }
    return number;
  }

  private static int number(byte[] from, int at, int bytes) {
    return number(ByteBuffer.wrap(from, at, bytes), bytes);
  }
}
