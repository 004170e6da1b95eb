package io.valetkey.realparts;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Looks into what a running program holds, from outside; Linux only, and for one's own children.
 */
public final class ProcessMemory {

  private static final int PIECE = 4 << 20;

  private ProcessMemory() {}

  /** Whether this system shows the memory of processes. */
  public static boolean isReadable() {
    return Files.exists(Path.of("/proc/self/mem"));
  }

  /**
   * Whether a text is anywhere in the environment, the command line or the readable memory of a
   * process, with one or with two bytes for each character.
   *
   * @param text of ISO 8859-1 only
   * @throws IOException if there is no such process, or nothing of it may be read
   */
  public static boolean holds(long pid, String text) throws IOException {
    Path process = Path.of("/proc/" + pid);
    byte[] narrow = text.getBytes(StandardCharsets.ISO_8859_1);
    byte[] wide = text.getBytes(StandardCharsets.UTF_16LE);
    for (String file : List.of("environ", "cmdline")) {
      byte[] bytes = Files.readAllBytes(process.resolve(file));
      if (contains(bytes, bytes.length, narrow)) {
        return true;
      }
    }
    long read = 0;
    try (var memory = new RandomAccessFile(process.resolve("mem").toFile(), "r")) {
      for (String region : Files.readAllLines(process.resolve("maps"))) {
        String[] words = region.split(" +", -1);
        if (!words[1].startsWith("r") || region.endsWith("[vvar]") || region.endsWith("call]")) {
          continue;
        }
        int dash = words[0].indexOf('-');
        long from = Long.parseUnsignedLong(words[0].substring(0, dash), 16);
        long to = Long.parseUnsignedLong(words[0].substring(dash + 1), 16);
        long length = read(memory, from, to, narrow, wide);
        if (length < 0) {
          return true;
        }
        read += length;
      }
    }
    if (read == 0) {
      throw new IOException("nothing of the process could be read");
    }
    return false;
  }

  /** How much was read of a region; negative if a pattern is in it. */
  private static long read(RandomAccessFile memory, long from, long to, byte[]... patterns) {
    int overlap = patterns[patterns.length - 1].length;
    byte[] piece = new byte[(int) Math.min(PIECE, to - from)];
    long at = from;
    try {
      while (at < to) {
        memory.seek(at);
        int count = memory.read(piece, 0, (int) Math.min(piece.length, to - at));
        for (byte[] pattern : patterns) {
          if (contains(piece, count, pattern)) {
            return -1;
          }
        }
        if (count <= overlap || at + count >= to) {
          return at + Math.max(0, count) - from;
        }
        at += count - overlap;
      }
    } catch (IOException e) {
      // A region of a device, or one that has just gone.
      return at - from;
    }
    return at - from;
  }

  private static boolean contains(byte[] bytes, int length, byte[] pattern) {
    for (int i = 0; i + pattern.length <= length; i++) {
      int j = 0;
      while (j < pattern.length && bytes[i + j] == pattern[j]) {
        j++;
      }
      if (j == pattern.length) {
        return true;
      }
    }
    return false;
  }
}
