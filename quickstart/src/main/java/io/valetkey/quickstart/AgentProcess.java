package io.valetkey.quickstart;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The demo agent's process, seen from outside. */
final class AgentProcess implements AutoCloseable {

  private static final JsonMapper JSON = new JsonMapper();
  private static final long SECONDS = 30;

  private final Process process;
  private final Writer tasks;
  private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

  private AgentProcess(Process process) {
    this.process = process;
    this.tasks = process.outputWriter(StandardCharsets.UTF_8);
    var _ = Thread.ofVirtual().name("agent-answers").start(this::readAnswers);
  }

  /** The three addresses that it needs, and nothing else: this is its whole environment. */
  static Map<String, String> environment(Ports ports, Path tokenFile) {
    return Map.of(
        "VALETKEY_URL", ports.apiUrl(),
        "VALETKEY_GATEWAY_URL", ports.gatewayUrl(),
        "VALETKEY_OIDC_TOKEN_FILE", tokenFile.toString());
  }

  static AgentProcess start(Map<String, String> environment) {
    var builder =
        new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx128m",
                "-cp",
                System.getProperty("java.class.path"),
                DemoAgent.class.getName()));
    builder.environment().clear();
    builder.environment().putAll(environment);
    builder.redirectError(Redirect.INHERIT);
    try {
      return new AgentProcess(builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What the operating system says that its environment is; null where it does not say. */
  @Nullable String environmentAsSeenFromOutside() {
    Path file = Path.of("/proc", Long.toString(process.pid()), "environ");
    try {
      return Files.isReadable(file) ? Files.readString(file, StandardCharsets.UTF_8) : null;
    } catch (IOException e) {
      return null;
    }
  }

  /** Lets it do one thing and waits for the answer. */
  JsonNode ask(String task) throws InterruptedException {
    return ask(task, event -> {});
  }

  /**
   * Lets it do one thing.
   *
   * @param events gets what the agent tells on the way, as it comes
   */
  JsonNode ask(String task, Consumer<JsonNode> events) throws InterruptedException {
    try {
      tasks.write(task + "\n");
      tasks.flush();
    } catch (IOException e) {
      throw new IllegalStateException("the agent has ended", e);
    }
    while (true) {
      String line = answers.poll(SECONDS, TimeUnit.SECONDS);
      if (line == null || line.isEmpty()) {
        throw new IllegalStateException("the agent did not answer to: " + task);
      }
      JsonNode answer = JSON.readTree(line);
      if (answer.path("done").asBoolean(false)) {
        return answer;
      }
      events.accept(answer);
    }
  }

  private void readAnswers() {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        answers.add(line);
      }
    } catch (IOException e) {
      // It has ended; said below.
    }
    answers.add("");
  }

  /** Ends it: it lives as long as its input. */
  @Override
  public void close() {
    try {
      tasks.close();
    } catch (IOException e) {
      // It has ended already.
    }
    try {
      if (!process.waitFor(2, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }
}
