package io.valetkey.broker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The broker as a process of its own, on the database of another one, so that it can be stopped,
 * continued and killed.
 */
public final class BrokerProcess implements AutoCloseable {

  private final Process process;
  private final int port;
  private final int management;
  private final int gateway;
  private final Path log;

  private BrokerProcess(Process process, int port, int management, int gateway, Path log) {
    this.process = process;
    this.port = port;
    this.management = management;
    this.gateway = gateway;
    this.log = log;
  }

  /** Starts one under names of its own and waits until it is ready. */
  public static BrokerProcess start(
      RunningBroker neighbour, Path folder, Map<String, String> settings) {
    int port = RunningBroker.freePort();
    int gateway = RunningBroker.freePort();
    return start(
        neighbour,
        folder,
        port,
        gateway,
        "http://127.0.0.1:" + port,
        "http://127.0.0.1:" + gateway,
        settings);
  }

  /** Starts a replica of a broker, under its names, and waits until it is ready. */
  public static BrokerProcess replica(RunningBroker of, Path folder, Map<String, String> settings) {
    return start(
        of,
        folder,
        RunningBroker.freePort(),
        RunningBroker.freePort(),
        of.url(),
        of.gatewayUrl(),
        settings);
  }

  private static BrokerProcess start(
      RunningBroker neighbour,
      Path folder,
      int port,
      int gateway,
      String publicUrl,
      String gatewayUrl,
      Map<String, String> settings) {
    int management = RunningBroker.freePort();
    return start(neighbour, folder, port, gateway, management, publicUrl, gatewayUrl, settings);
  }

  /** Starts one on these ports, under these names, and waits until it is ready. */
  public static BrokerProcess start(
      RunningBroker neighbour,
      Path folder,
      int port,
      int gateway,
      int management,
      String publicUrl,
      String gatewayUrl,
      Map<String, String> settings) {
    Map<String, String> all = new LinkedHashMap<>();
    all.put(
        "spring.datasource.url",
        "jdbc:postgresql://localhost:"
            + RunningBroker.postgresPort()
            + "/"
            + neighbour.databaseName());
    all.put("spring.datasource.username", "postgres");
    all.put("spring.datasource.password", "postgres");
    all.put("server.port", String.valueOf(port));
    all.put("server.address", "127.0.0.1");
    all.put("management.server.port", String.valueOf(management));
    all.put("management.server.address", "127.0.0.1");
    all.put("valetkey.public-url", publicUrl);
    all.put("valetkey.gateway.public-url", gatewayUrl);
    all.put("valetkey.gateway.port", String.valueOf(gateway));
    all.put("valetkey.gateway.address", "127.0.0.1");
    all.putAll(settings);
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.valetkey.broker.BrokerApplication"));
    all.forEach((name, value) -> command.add("--" + name + "=" + value));
    try {
      Path log = Files.createTempFile(folder, "broker", ".log");
      var process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      var started = new BrokerProcess(process, port, management, gateway, log);
      started.awaitReady();
      return started;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void awaitReady() {
    long end = System.nanoTime() + Duration.ofSeconds(120).toNanos();
    while (!isReady()) {
      if (!process.isAlive() || System.nanoTime() > end) {
        kill();
        throw new AssertionError("the broker did not start:\n" + log());
      }
      pause(50);
    }
  }

  public boolean isReady() {
    try {
      URI uri = URI.create("http://127.0.0.1:" + management + "/actuator/health/readiness");
      HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
      connection.setConnectTimeout(500);
      connection.setReadTimeout(2000);
      return connection.getResponseCode() == 200;
    } catch (IOException e) {
      return false;
    }
  }

  private static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  public String url() {
    return "http://127.0.0.1:" + port;
  }

  public String gatewayUrl() {
    return "http://127.0.0.1:" + gateway;
  }

  public int gatewayPort() {
    return gateway;
  }

  public String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** SIGSTOP: it keeps its memory and its sockets, and does nothing. */
  public void pause() {
    signal("STOP");
  }

  public void resume() {
    signal("CONT");
  }

  private void signal(String name) {
    try {
      int code =
          new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
              .inheritIO()
              .start()
              .waitFor();
      if (code != 0) {
        throw new AssertionError("kill -" + name + " failed");
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** SIGKILL: no hook, no handler, nothing is written any more. Waits until it is dead. */
  public void kill() {
    process.destroyForcibly();
    awaitEnd();
  }

  /** SIGTERM: it ends in its own way. Waits for it. */
  public void terminate() {
    process.destroy();
    awaitEnd();
  }

  private void awaitEnd() {
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    kill();
  }
}
