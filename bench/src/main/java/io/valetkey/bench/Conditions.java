package io.valetkey.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;

/** Under which conditions a figure was measured: no figure means anything without them. */
final class Conditions {

  private Conditions() {}

  static void print() {
    System.out.printf(
        "%s, %s, %d processors, load average %s, Java %s (%s), %s %s%n",
        Instant.now(),
        line("/proc/cpuinfo", "model name"),
        Runtime.getRuntime().availableProcessors(),
        read("/proc/loadavg"),
        System.getProperty("java.runtime.version"),
        System.getProperty("java.vendor"),
        System.getProperty("os.name"),
        System.getProperty("os.version"));
  }

  private static String line(String file, String name) {
    return read(file)
        .lines()
        .filter(line -> line.startsWith(name))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse("unknown processor");
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file)).strip();
    } catch (IOException e) {
      return "unknown";
    }
  }
}
