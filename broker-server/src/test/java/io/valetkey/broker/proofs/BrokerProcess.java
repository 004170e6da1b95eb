package io.valetkey.broker.proofs;

import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A further replica in a process of its own, which a test may stop, continue and kill. */
final class BrokerProcess implements AutoCloseable {

  private final Process process;
  private final Path log;
  private final int management;
  final int gatewayPort;

  private BrokerProcess(Process process, Path log, int management, int gatewayPort) {
    this.process = process;
    this.log = log;
    this.management = management;
    this.gatewayPort = gatewayPort;
  }

  /**
   * Starts a replica of a broker, on its database and under its names, and waits until it is ready.
   */
  static BrokerProcess replica(RunningBroker of, Path folder, Map<String, String> settings)
      throws Exception {
    int management = RunningBroker.freePort();
    int gateway = RunningBroker.freePort();
    Map<String, String> all = new LinkedHashMap<>();
    all.put(
        "spring.datasource.url",
        "jdbc:postgresql://localhost:" + RunningBroker.postgresPort() + "/" + of.databaseName());
    all.put("spring.datasource.username", "postgres");
    all.put("spring.datasource.password", "postgres");
    all.put("server.port", "0");
    all.put("server.address", "127.0.0.1");
    all.put("management.server.port", String.valueOf(management));
    all.put("management.server.address", "127.0.0.1");
    all.put("valetkey.public-url", of.url());
    all.put("valetkey.gateway.public-url", of.gatewayUrl());
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
    Path log = Files.createTempFile(folder, "replica", ".log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    var replica = new BrokerProcess(process, log, management, gateway);
    replica.awaitReady();
    return replica;
  }

  private void awaitReady() throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(90).toNanos();
    while (!isReady()) {
      if (!process.isAlive() || System.nanoTime() > end) {
        close();
        throw new AssertionError("did not start:\n" + Files.readString(log));
      }
      Thread.sleep(50);
    }
  }

  boolean isReady() {
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

  String gatewayUrl() {
    return "http://127.0.0.1:" + gatewayPort;
  }

  /** SIGSTOP: it keeps its memory and its sockets, and does nothing. */
  void pause() throws Exception {
    signal("STOP");
  }

  void resume() throws Exception {
    signal("CONT");
  }

  private void signal(String name) throws Exception {
    int code =
        new ProcessBuilder("kill", "-" + name, Long.toString(process.pid()))
            .inheritIO()
            .start()
            .waitFor();
    if (code != 0) {
      throw new AssertionError("kill -" + name + " failed");
    }
  }

  String log() throws IOException {
    return Files.readString(log);
  }

  /** SIGKILL. */
  @Override
  public void close() {
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
