package io.valetkey.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * How long the threads of some processes ran, from {@code /proc/PID/task/TID/schedstat}: in
 * nanoseconds, where the tick-based times misread short work badly. Taken twice and compared thread
 * by thread, so that a thread which ended in between does not take its whole past with it.
 */
final class CpuTime {

  private final Map<String, Long> nanosByThread;

  private CpuTime(Map<String, Long> nanosByThread) {
    this.nanosByThread = nanosByThread;
  }

  /** The time of these processes and all their descendants. */
  static CpuTime of(List<Long> roots) {
    Map<Long, List<Long>> children = childrenByParent();
    Map<String, Long> nanos = new HashMap<>();
    for (long root : roots) {
      addTree(root, children, nanos);
    }
    return new CpuTime(nanos);
  }

  /** Seconds that the threads which are there now have run since the earlier moment. */
  double secondsSince(CpuTime earlier) {
    long sum = 0;
    for (Map.Entry<String, Long> thread : nanosByThread.entrySet()) {
      sum += thread.getValue() - earlier.nanosByThread.getOrDefault(thread.getKey(), 0L);
    }
    return sum / 1e9;
  }

  private static void addTree(long pid, Map<Long, List<Long>> children, Map<String, Long> nanos) {
    try (Stream<Path> tasks = Files.list(Path.of("/proc/" + pid + "/task"))) {
      for (Path task : tasks.toList()) {
        addThread(pid, task, nanos);
      }
    } catch (IOException e) {
      return; // it ended while we looked
    }
    for (long child : children.getOrDefault(pid, List.of())) {
      addTree(child, children, nanos);
    }
  }

  private static void addThread(long pid, Path task, Map<String, Long> nanos) {
    try {
      String first = Files.readString(task.resolve("schedstat")).split(" ", -1)[0];
      nanos.put(pid + "/" + task.getFileName(), Long.parseLong(first.strip()));
    } catch (IOException e) {
      // The thread ended while we looked.
    }
  }

  private static Map<Long, List<Long>> childrenByParent() {
    Map<Long, List<Long>> children = new HashMap<>();
    try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
      for (Path process : processes.toList()) {
        String name = process.getFileName().toString();
        if (name.chars().allMatch(Character::isDigit)) {
          long parent = parentOf(process);
          children.computeIfAbsent(parent, p -> new ArrayList<>()).add(Long.valueOf(name));
        }
      }
    } catch (IOException e) {
      throw new IllegalStateException("this machine has no /proc", e);
    }
    return children;
  }

  /** The fourth field; the second is the name in parentheses and may hold anything. */
  private static long parentOf(Path process) {
    try {
      String stat = Files.readString(process.resolve("stat"));
      return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[1]);
    } catch (IOException e) {
      return -1;
    }
  }
}
