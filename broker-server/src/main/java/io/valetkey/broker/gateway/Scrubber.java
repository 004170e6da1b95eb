package io.valetkey.broker.gateway;

import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.Set;

/**
 * Overwrites a credential in what an upstream answers, in all forms of {@link SecretPatterns}. An
 * {@link Automaton} reads each byte once; a stream holds back only bytes that may still become the
 * credential, so an event stream is not delayed. A byte is replaced by one {@code *}: lengths stay
 * true.
 *
 * <p>It catches echoes, not malice: an upstream that wants to leak what it was given can encode it
 * in any way it likes.
 */
final class Scrubber {

  private static final byte MASK = '*';

  private final Automaton automaton;

  /** Compiles the automaton for all values of one credential. */
  Scrubber(Collection<SecretValue> secrets) {
    Set<String> patterns = new LinkedHashSet<>();
    secrets.forEach(secret -> patterns.addAll(SecretPatterns.of(secret)));
    automaton =
        new Automaton(
            patterns.stream().map(pattern -> pattern.getBytes(StandardCharsets.UTF_8)).toList());
  }

  /** A stream of one answer. Not safe for several threads. */
  Stream stream() {
    return new Stream();
  }

  /** The text without the credential. */
  String scrub(String text) {
    if (isClean(text)) {
      return text;
    }
    Stream stream = stream();
    // Header values travel as ISO 8859-1, one byte for each character.
    byte[] head = stream.feed(text.getBytes(StandardCharsets.ISO_8859_1));
    byte[] tail = stream.end();
    return new String(head, StandardCharsets.ISO_8859_1)
        + new String(tail, StandardCharsets.ISO_8859_1);
  }

  /** Whether the text has no pattern in it, and no character that has no place in a header. */
  private boolean isClean(String text) {
    int at = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c > 0xff) {
        return false;
      }
      at = automaton.next(at, c);
      if (automaton.matched(at) > 0) {
        return false;
      }
    }
    return true;
  }

  /** One pass over one answer. */
  final class Stream {
    private static final byte[] NOTHING = new byte[0];

    private byte[] held = NOTHING;
    private int state;

    /**
     * Takes a chunk and gives what is certain: everything but a possible beginning of a match. If
     * nothing was held, found or begun, that is the very array, which is never changed.
     */
    byte[] feed(byte[] chunk) {
      int before = held.length;
      boolean own = before > 0;
      byte[] bytes = own ? joined(chunk) : chunk;
      int at = state;
      for (int i = 0; i < chunk.length; i++) {
        int b = chunk[i] & 0xff;
        if (at == 0 && !automaton.begins(b)) {
          continue;
        }
        at = automaton.next(at, b);
        int matched = automaton.matched(at);
        if (matched > 0) {
          bytes = own ? bytes : chunk.clone();
          own = true;
          // What went out at a boundary cannot be masked any more; the rest of the match is.
          Arrays.fill(bytes, Math.max(0, before + i + 1 - matched), before + i + 1, MASK);
        }
      }
      state = at;
      int certain = Math.max(0, bytes.length - automaton.pending(at));
      if (certain == bytes.length) {
        held = NOTHING;
        return bytes;
      }
      held = Arrays.copyOfRange(bytes, certain, bytes.length);
      return Arrays.copyOf(bytes, certain);
    }

    private byte[] joined(byte[] chunk) {
      byte[] bytes = Arrays.copyOf(held, held.length + chunk.length);
      System.arraycopy(chunk, 0, bytes, held.length, chunk.length);
      return bytes;
    }

    /**
     * Gives what was held back, because a message ends here and must not wait for the next one. A
     * credential that goes on in the next message is masked from there on.
     */
    byte[] flush() {
      byte[] rest = held;
      held = NOTHING;
      return rest;
    }

    /** Gives what was held back; nothing follows. */
    byte[] end() {
      byte[] rest = held;
      held = NOTHING;
      state = 0;
      return rest;
    }
  }
}
