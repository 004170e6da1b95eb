package io.valetkey.broker.gateway;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Replaces an upstream's own origin by its address at the gateway in text that comes piece by
 * piece, as it is and as JSON may escape it. What only begins like the origin, such as a longer
 * host, is left as it is. A stream holds back only what may still become the origin, or is one
 * whose next byte has to be seen.
 */
final class AddressRewriter {

  /** Where the slashes of an escaped origin differ: behind {@code https:}. */
  private static final int SLASHES = "https:".length();

  /** Behind an origin, these end it; anything else could make it another authority. */
  private static final String ENDING = "/?#\"'<>\\()[]{},;|`";

  private final Automaton automaton;
  private final byte[] plain;
  private final byte[] escaped;

  /**
   * Compiles what is looked for.
   *
   * @param host the upstream's host
   * @param port the upstream's port
   * @param ours what stands there instead, without a trailing slash
   */
  AddressRewriter(String host, int port, String ours) {
    List<byte[]> origins = new ArrayList<>();
    String named = "https://" + host.toLowerCase(Locale.ROOT);
    for (String origin : List.of(named, named + ":" + port)) {
      if (!origin.equals(named) || port == 443) {
        origins.add(bytes(origin));
        origins.add(bytes(escape(origin)));
      }
    }
    automaton = new Automaton(origins);
    plain = bytes(ours);
    escaped = bytes(escape(ours));
  }

  private static String escape(String url) {
    return url.replace("/", "\\/");
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  /** A stream of one body. Not safe for several threads. */
  Stream stream() {
    return new Stream();
  }

  private static boolean ends(byte b) {
    return (b >= 0 && b <= ' ') || (b > 0 && ENDING.indexOf(b) >= 0);
  }

  /** One pass over one body. */
  final class Stream {
    private static final byte[] NOTHING = new byte[0];

    private byte[] held = NOTHING;
    private int state;

    /** How long the origin is that the bytes read end with; 0 if they end with none. */
    private int origin;

    /**
     * Takes a piece and gives what is certain. If nothing was held, found or begun, that is the
     * very array, which is never changed.
     */
    byte[] feed(byte[] piece) {
      byte[] bytes = held.length == 0 ? piece : joined(piece);
      ByteArrayOutputStream out = null;
      int written = 0;
      for (int i = held.length; i < bytes.length; i++) {
        if (origin > 0 && ends(bytes[i])) {
          out = out == null ? new ByteArrayOutputStream(bytes.length + plain.length) : out;
          out.write(bytes, written, i - origin - written);
          out.writeBytes(replacement(bytes, i - origin));
          written = i;
        }
        int b = bytes[i] & 0xff;
        if (state == 0 && !automaton.begins(b)) {
          origin = 0;
          continue;
        }
        state = automaton.next(state, b);
        origin = automaton.matched(state);
      }
      int certain = bytes.length - Math.max(origin, automaton.pending(state));
      held = certain == bytes.length ? NOTHING : Arrays.copyOfRange(bytes, certain, bytes.length);
      if (out == null) {
        return certain == bytes.length ? bytes : Arrays.copyOf(bytes, certain);
      }
      out.write(bytes, written, certain - written);
      return out.toByteArray();
    }

    private byte[] joined(byte[] piece) {
      byte[] bytes = Arrays.copyOf(held, held.length + piece.length);
      System.arraycopy(piece, 0, bytes, held.length, piece.length);
      return bytes;
    }

    private byte[] replacement(byte[] bytes, int at) {
      return bytes[at + SLASHES] == '\\' ? escaped : plain;
    }

    /** Gives what was held back; nothing follows. */
    byte[] end() {
      byte[] rest = held;
      held = NOTHING;
      // What is held is no longer than the origin, if it is one.
      return origin > 0 ? replacement(rest, 0) : rest;
    }
  }
}
