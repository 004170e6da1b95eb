package io.valetkey.broker.gateway;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Finds words in bytes that come piece by piece, one step for each byte and never back
 * (Aho–Corasick). A state is a number; 0 is the beginning.
 */
final class Automaton {

  /** Bytes that no word has share class 0; the table is as narrow as the words allow. */
  private final byte[] classes = new byte[256];

  private final int width;
  private final int[] next;

  /** How long the longest word is that ends in this state; 0 if none does. */
  private final int[] matched;

  /** How many of the bytes read are a proper prefix of a word. */
  private final int[] pending;

  /** Whether a word begins with this byte: most bytes are passed over by this alone. */
  private final boolean[] begins = new boolean[256];

  /** Compiles the words, none of which is empty. */
  Automaton(Collection<byte[]> words) {
    int states = 1;
    int count = 1;
    for (byte[] word : words) {
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

  /** The state after this byte, 0 to 255. */
  int next(int state, int b) {
    return next[state * width + (classes[b] & 0xff)];
  }

  /** Whether the byte leads on from the beginning. */
  boolean begins(int b) {
    return begins[b];
  }

  /** How long the longest word is that ends here; 0 if none does. */
  int matched(int state) {
    return matched[state];
  }

  /** How many of the last bytes may still become a word. */
  int pending(int state) {
    return pending[state];
  }

  /** Builds the trie of the words and returns each state's depth, in order of creation. */
  private List<Integer> grow(Collection<byte[]> words) {
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
