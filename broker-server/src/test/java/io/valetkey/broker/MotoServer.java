package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.Python;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * moto as AWS in a process of its own, and programs in Python for it. It takes every request until
 * it is told how many it takes {@link #exempt without a signature}.
 */
public final class MotoServer implements AutoCloseable {

  private static final Duration START = Duration.ofSeconds(60);

  private final Path folder;
  private final Path log;
  private final URI uri;
  private final HttpClient client;
  private final Process process;

  /** Over plain HTTP. */
  public MotoServer(Path folder) throws Exception {
    this(folder, "http://127.0.0.1", HttpClient.newHttpClient(), List.of());
  }

  /** Over TLS, as {@code localhost}. */
  public MotoServer(Path folder, TestAuthority authority) throws Exception {
    this(
        folder,
        "https://localhost",
        HttpClient.newBuilder().sslContext(authority.trust()).build(),
        tls(folder, authority.server("localhost")));
  }

  private MotoServer(Path folder, String origin, HttpClient client, List<String> more)
      throws Exception {
    int port = RunningBroker.freePort();
    this.folder = folder;
    this.log = folder.resolve("moto.log");
    this.uri = URI.create(origin + ":" + port);
    this.client = client;
    List<String> command = new ArrayList<>(List.of(python().toString(), "-m", "moto.server"));
    command.addAll(List.of("-H", "127.0.0.1", "-p", String.valueOf(port)));
    command.addAll(more);
    this.process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    // A test run that is killed must not leave it behind.
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    try {
      awaitStart();
    } catch (Exception | AssertionError e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private static List<String> tls(Path folder, TestCertificate certificate) throws IOException {
    Path chain = Files.writeString(folder.resolve("moto.crt"), certificate.certificatePem());
    Path key = Files.writeString(folder.resolve("moto.key"), certificate.keyPem());
    return List.of("-s", "-c", chain.toString(), "-k", key.toString());
  }

  private void awaitStart() throws Exception {
    long begun = System.nanoTime();
    while (!answers()) {
      assertThat(process.isAlive()).as(Files.readString(log)).isTrue();
      assertThat(System.nanoTime() - begun).as(Files.readString(log)).isLessThan(START.toNanos());
      Thread.sleep(200);
    }
  }

  private boolean answers() throws InterruptedException {
    try {
      exempt("inf");
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** Python with moto and boto3. */
  public static Path python() throws Exception {
    return Python.with("python-aws", "moto[server]", "boto3");
  }

  public URI uri() {
    return uri;
  }

  /** What it says, a line for each request. */
  public Path log() {
    return log;
  }

  /** How many requests it takes without a signature from now on; {@code inf} for all. */
  public void exempt(String requests) throws IOException, InterruptedException {
    assertThat(post("/moto-api/reset-auth", "text/plain", requests).statusCode()).isEqualTo(200);
  }

  public HttpResponse<String> post(String path, String type, String body)
      throws IOException, InterruptedException {
    return client.send(
        HttpRequest.newBuilder(uri.resolve(path))
            .timeout(Duration.ofSeconds(10))
            .header("Content-Type", type)
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofString());
  }

  /** What a program in Python says, on both its outputs. */
  public String run(String program, Map<String, String> environment, String... arguments)
      throws Exception {
    Path script = Files.createTempFile(folder, "program", ".py");
    Files.writeString(script, program);
    List<String> command = new ArrayList<>(List.of(python().toString(), script.toString()));
    command.addAll(List.of(arguments));
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder
        .environment()
        .keySet()
        .removeIf(name -> name.toLowerCase(Locale.ROOT).endsWith("_proxy"));
    builder.environment().put("PYTHONIOENCODING", "utf-8");
    builder.environment().put("AWS_EC2_METADATA_DISABLED", "true");
    builder.environment().putAll(environment);
    Process running = builder.start();
    String said = new String(running.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(running.waitFor(Duration.ofSeconds(60))).isTrue();
    return said;
  }

  @Override
  public void close() throws InterruptedException {
    process.destroy();
    if (!process.waitFor(5, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
  }
}
