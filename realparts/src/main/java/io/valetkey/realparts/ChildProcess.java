package io.valetkey.realparts;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** A program that we started: it ends with us, and nothing else is ever ended. */
final class ChildProcess implements AutoCloseable {

  private final String name;
  private final Path log;
  private final Process process;
  private final Thread hook;

  private ChildProcess(String name, Path log, Process process) {
    this.name = name;
    this.log = log;
    this.process = process;
    this.hook = new Thread(this::end, "stop-" + name);
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Starts a program with its output in {@code <name>.log} of the folder. */
  static ChildProcess start(
      String name, Path folder, Map<String, String> environment, List<String> command) {
    Path log = folder.resolve(name + ".log");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
    builder.environment().putAll(environment);
    builder.directory(folder.toFile());
    try {
      return new ChildProcess(name, log, builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until the program is ready, and says what it printed if it ends or stays silent. */
  void awaitReady(Duration atMost, BooleanSupplier ready) {
    long end = System.nanoTime() + atMost.toNanos();
    while (!ready.getAsBoolean()) {
      if (!process.isAlive() || System.nanoTime() > end) {
        String tail = tail();
        close();
        throw new IllegalStateException(name + " did not become ready:\n" + tail);
      }
      pause(100);
    }
  }

  /** Freezes the program (SIGSTOP): it keeps its connections and answers nothing. */
  void freeze() {
    signal("STOP");
  }

  /** Lets a frozen program go on. */
  void thaw() {
    signal("CONT");
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The JVM is going down already, and the hook does it.
    }
    end();
  }

  // Asked first, because killing a container's client would leave the container running; a frozen
  // program hears the question only when it goes on.
  private void end() {
    thaw();
    process.destroy();
    try {
      if (!process.waitFor(5, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /**
   * A free port of the loopback address. Somebody else may take it meanwhile; that fails loudly.
   */
  static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Deletes what a server left behind; what it logged may hold its root token. */
  static void deleteFolder(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  private void signal(String signal) {
    if (process.isAlive()) {
      run("kill", "-" + signal, Long.toString(process.pid()));
    }
  }

  /** Runs a short command to its end. */
  static void run(String... command) {
    try {
      new ProcessBuilder(command).start().waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String tail() {
    try {
      List<String> lines = Files.readAllLines(log);
      return String.join("\n", lines.subList(Math.max(0, lines.size() - 30), lines.size()));
    } catch (IOException e) {
      return "(its log cannot be read)";
    }
  }
}
