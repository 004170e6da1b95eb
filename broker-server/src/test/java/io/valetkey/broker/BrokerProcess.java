package io.valetkey.broker;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The broker as a process of its own, on the database of another one, so that it can be killed. */
public final class BrokerProcess implements AutoCloseable {

  private final Process process;
  private final int port;
  private final Path log;

  private BrokerProcess(Process process, int port, Path log) {
    this.process = process;
    this.port = port;
    this.log = log;
  }

  /** Starts one and waits until it answers. */
  public static BrokerProcess start(
      RunningBroker neighbour, Path folder, Map<String, String> settings) {
    int port = RunningBroker.freePort();
    int gateway = RunningBroker.freePort();
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
    all.put("management.server.port", "0");
    all.put("management.server.address", "127.0.0.1");
    all.put("valetkey.public-url", "http://127.0.0.1:" + port);
    all.put("valetkey.gateway.public-url", "http://127.0.0.1:" + gateway);
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
      var started = new BrokerProcess(process, port, log);
      started.awaitAnswer();
      return started;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void awaitAnswer() throws IOException {
    long end = System.nanoTime() + Duration.ofSeconds(120).toNanos();
    HttpClient client = HttpClient.newHttpClient();
    var request = HttpRequest.newBuilder(URI.create(url() + "/oauth2/jwks")).build();
    while (process.isAlive() && System.nanoTime() < end) {
      try {
        if (client.send(request, BodyHandlers.discarding()).statusCode() == 200) {
          return;
        }
      } catch (IOException e) {
        // It does not listen yet.
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
      pause();
    }
    process.destroyForcibly();
    throw new AssertionError("the broker did not start:\n" + Files.readString(log));
  }

  private static void pause() {
    try {
      Thread.sleep(50);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  public String url() {
    return "http://127.0.0.1:" + port;
  }

  /** SIGKILL: no hook, no handler, nothing is written any more. Waits until it is dead. */
  public void kill() {
    try {
      process.destroyForcibly().waitFor();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** SIGTERM: it ends in its own way. Waits for it. */
  public void terminate() {
    process.destroy();
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
