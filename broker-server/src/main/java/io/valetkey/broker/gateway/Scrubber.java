package io.valetkey.broker.gateway;

import io.valetkey.broker.secret.SecretValue;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Overwrites a credential in what an upstream answers, in all forms of {@link SecretPatterns}. An
 * Aho–Corasick automaton reads each byte once; a stream holds back only bytes that may still become
 * the credential, so an event stream is not delayed. A byte is replaced by one {@code *}: lengths
 * stay true.
 *
 * <p>It catches echoes, not malice: an upstream that wants to leak what it was given can encode it
 * in any way it likes.
 */
final class Scrubber {

  private static final byte MASK = '*';

  /** Bytes that no pattern has share class 0; the table is as narrow as the patterns allow. */
  private final byte[] classes = new byte[256];

  private final int width;
  private final int[] next;

  /** How long the longest pattern is that ends in this state; 0 if none does. */
  private final int[] matched;

  /** How many of the bytes read are a proper prefix of a pattern. */
  private final int[] pending;

  /** Whether a pattern begins with this byte: most bytes are passed over by this alone. */
  private final boolean[] begins = new boolean[256];

  /** Compiles the automaton for all values of one credential. */
  Scrubber(Collection<SecretValue> secrets) {
    Set<String> patterns = new LinkedHashSet<>();
    secrets.forEach(secret -> patterns.addAll(SecretPatterns.of(secret)));
    List<byte[]> words = new ArrayList<>();
    int states = 1;
    int count = 1;
    for (String pattern : patterns) {
      byte[] word = pattern.getBytes(StandardCharsets.UTF_8);
      words.add(word);
      states += word.length;
      for (byte b : word) {
        if (classes[b & 0xff] == 0) {
          classes[b & 0xff] = (byte) count++;
        }
      }
    }
    width = count;
    next = new int[states * width];
    matched = new int[states];
    pending = new int[states];
    link(grow(words));
    for (int b = 0; b < begins.length; b++) {
      begins[b] = next[classes[b] & 0xff] != 0;
    }
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
      at = next[at * width + (classes[c] & 0xff)];
      if (matched[at] > 0) {
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
        if (at == 0 && !begins[b]) {
          continue;
        }
        at = next[at * width + (classes[b] & 0xff)];
        if (matched[at] > 0) {
          bytes = own ? bytes : chunk.clone();
          own = true;
          // What went out at a boundary cannot be masked any more; the rest of the match is.
          Arrays.fill(bytes, Math.max(0, before + i + 1 - matched[at]), before + i + 1, MASK);
        }
      }
      state = at;
      int certain = Math.max(0, bytes.length - pending[at]);
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

  /** Builds the trie of the words and returns each state's depth, in order of creation. */
  private List<Integer> grow(List<byte[]> words) {
    List<Integer> depths = new ArrayList<>(List.of(0));
    for (byte[] word : words) {
      int at = 0;
      for (int i = 0; i < word.length; i++) {
        int edge = at * width + (classes[word[i] & 0xff] & 0xff);
        if (next[edge] == 0) {
          next[edge] = depths.size();
          depths.add(i + 1);
        }
        at = next[edge];
      }
      matched[at] = word.length;
    }
    return depths;
  }

  /** Adds the transitions of failed matches, breadth first, so that reading never goes back. */
  private void link(List<Integer> depths) {
    int[] fail = new int[depths.size()];
    ArrayDeque<Integer> queue = new ArrayDeque<>(List.of(0));
    while (!queue.isEmpty()) {
      int at = queue.remove();
      boolean leaf = true;
      for (int c = 0; c < width; c++) {
        int child = next[at * width + c];
        int fallback = at == 0 ? 0 : next[fail[at] * width + c];
        if (child != 0) {
          leaf = false;
          fail[child] = fallback;
          matched[child] = Math.max(matched[child], matched[fallback]);
          queue.add(child);
        } else {
          next[at * width + c] = fallback;
        }
      }
      // A whole word that begins no other one need not be held.
      pending[at] = leaf ? pending[fail[at]] : depths.get(at);
    }
  }
}
