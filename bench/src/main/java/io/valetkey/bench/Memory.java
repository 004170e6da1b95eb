package io.valetkey.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What a process and its children hold, in bytes.
 *
 * @param resident pages in memory, by {@code /proc/PID/status}; shared pages count for each
 * @param heap of a JVM, what is used after a full collection; 0 of everything else
 */
record Memory(long resident, long heap) {

  private static final Pattern USED = Pattern.compile("used (\\d+)K");

  static Memory of(long pid, boolean isJvm) throws IOException, InterruptedException {
    long heap = isJvm ? heap(pid) : 0;
    long resident = resident(pid);
    for (ProcessHandle child : ProcessHandle.of(pid).orElseThrow().children().toList()) {
      resident += resident(child.pid());
    }
    return new Memory(resident, heap);
  }

  Memory minus(Memory before) {
    return new Memory(resident - before.resident, heap - before.heap);
  }

  /** How many files a process of ours may have open. */
  static long openFiles() throws IOException {
    return Long.parseLong(
        field(Path.of("/proc/self/limits"), "Max open files").split("\\s+", -1)[0]);
  }

  private static long resident(long pid) throws IOException {
    String kilobytes = field(Path.of("/proc/" + pid + "/status"), "VmRSS:");
    return 1024 * Long.parseLong(kilobytes.split(" ", -1)[0]);
  }

  private static String field(Path file, String name) throws IOException {
    try (Stream<String> lines = Files.lines(file)) {
      Optional<String> line = lines.filter(text -> text.startsWith(name)).findFirst();
      return line.orElseThrow().substring(name.length()).strip();
    }
  }

  private static long heap(long pid) throws IOException, InterruptedException {
    jcmd(pid, "GC.run");
    Matcher used = USED.matcher(jcmd(pid, "GC.heap_info"));
    if (!used.find()) {
      throw new IOException("jcmd does not say how much of the heap is used");
    }
    return 1024 * Long.parseLong(used.group(1));
  }

  private static String jcmd(long pid, String command) throws IOException, InterruptedException {
    String program = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    Process process =
        new ProcessBuilder(List.of(program, String.valueOf(pid), command))
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException("jcmd: " + output);
    }
    return output;
  }
}
