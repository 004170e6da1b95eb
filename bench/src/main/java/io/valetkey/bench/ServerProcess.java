package io.valetkey.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A server that we started, with its output in a file. It ends with us; nothing else does. */
final class ServerProcess implements AutoCloseable {

  private final String name;
  private final Process process;
  private final Path log;
  private final Thread hook;

  private ServerProcess(String name, Process process, Path log) {
    this.name = name;
    this.process = process;
    this.log = log;
    this.hook = new Thread(process::destroy, "stop-" + name);
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** Starts a program and waits until it listens on a loopback port. */
  static ServerProcess start(
      String name, Path folder, int port, Duration atMost, List<String> command)
      throws IOException {
    Path log = folder.resolve(name + ".log");
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    var server = new ServerProcess(name, builder.redirectOutput(log.toFile()).start(), log);
    server.awaitPort(port, atMost);
    return server;
  }

  /** The JVM that runs this, with the same heap for every server that is compared. */
  static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }

  long pid() {
    return process.pid();
  }

  private void awaitPort(int port, Duration atMost) throws IOException {
    long end = System.nanoTime() + atMost.toNanos();
    while (!listens(port)) {
      if (!process.isAlive() || System.nanoTime() > end) {
        close();
        throw new IOException(name + " did not start:\n" + Files.readString(log));
      }
      pause();
    }
  }

  private static boolean listens(int port) {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static void pause() {
    try {
      Thread.sleep(100);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  @Override
  public void close() {
    process.destroy();
    try {
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IllegalStateException e) {
      // The JVM is going down already.
    }
  }
}
