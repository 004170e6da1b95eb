package io.valetkey.broker;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;

/** A real proxy of a network, which wants a password; on loopback. */
public final class TinyProxy implements AutoCloseable {

  public static final String USER = "gateway";
  public static final String PASSWORD = "canary-of-the-proxy";

  private final int port = RunningBroker.freePort();
  private final Path log;
  private final Process process;

  /** Starts it; its files are in the folder. */
  public TinyProxy(Path folder) throws IOException {
    log = folder.resolve("tinyproxy.log");
    Path file = folder.resolve("tinyproxy.conf");
    Files.writeString(
        file,
        """
        Port %d
        Listen 127.0.0.1
        Timeout 30
        LogLevel Connect
        MaxClients 20
        BasicAuth %s %s
        """
            .formatted(port, USER, PASSWORD));
    process =
        new ProcessBuilder("tinyproxy", "-d", "-c", file.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    await().until(this::listens);
  }

  private boolean listens() {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  public int port() {
    return port;
  }

  /** What it wrote about its connections. */
  public String log() throws IOException {
    return Files.readString(log);
  }

  @Override
  public void close() {
    process.destroy();
    process.onExit().join();
  }
}
