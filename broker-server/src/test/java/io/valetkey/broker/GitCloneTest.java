package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The real git clones, fetches and pushes over HTTPS through the gateway, from git's own {@code
 * git-http-backend}, with nothing but configuration. Invariants: P6, P8, G3.
 */
class GitCloneTest {

  private static final String REAL = "ghp-real-0123456789-credential";
  private static final Path BACKEND = Path.of("/usr/lib/git-core/git-http-backend");

  @TempDir private Path folder;
  private BrokeredWorld world;
  private HttpsServer upstream;
  private final List<String> authorizations = new CopyOnWriteArrayList<>();

  @BeforeEach
  void start() throws Exception {
    assumeTrue(Files.isExecutable(BACKEND), "SKIPPED: there is no git-http-backend");
    world = new BrokeredWorld(folder);
    Path bare = Files.createDirectories(folder.resolve("srv/acme/tool.git"));
    git(folder, "init", "-q", "--bare", "-b", "main", bare.toString());
    git(bare, "config", "http.receivepack", "true");
    Path seed = folder.resolve("seed");
    git(folder, "init", "-q", "-b", "main", seed.toString());
    Files.writeString(seed.resolve("README"), "hello\n");
    // Large enough that the pack is streamed, and of a kind that does not compress.
    Files.write(
        seed.resolve("blob"),
        new java.util.Random(1).doubles(1 << 17).mapToObj(Double::toString).toList());
    git(seed, "add", ".");
    git(seed, "commit", "-q", "-m", "one");
    git(seed, "push", "-q", bare.toString(), "main");

    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(world.authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", this::backend);
    upstream.start();

    world.credential("github", REAL);
    world.destination(
        "github",
        """
        {"kind":"http","origin":"https://localhost:%d","credential":{"source":"file","name":"github"},
         "slot":{"basic":{"username":"x-access-token"}}}\
        """
            .formatted(upstream.getAddress().getPort()),
        BrokeredWorld.rule("GET", "/acme/tool.git/info/refs"),
        BrokeredWorld.rule("POST", "/acme/tool.git/git-upload-pack"));
  }

  @AfterEach
  void stop() {
    if (upstream != null) {
      upstream.stop(0);
    }
    if (world != null) {
      world.close();
    }
  }

  @Test
  void clone_worksByConfigurationAlone_andLeavesNoCredentialBehind() throws Exception {
    String token = world.token("github");
    Path clone = folder.resolve("clone");

    String said = agent(token, folder, "clone", "https://github.test/acme/tool.git", clone + "");

    assertThat(clone.resolve("README")).as(said).hasContent("hello\n");
    assertThat(Files.size(clone.resolve("blob"))).isGreaterThan(1 << 20);
    String basic =
        "Basic "
            + Base64.getEncoder()
                .encodeToString(("x-access-token:" + REAL).getBytes(StandardCharsets.UTF_8));
    assertThat(authorizations).isNotEmpty().allMatch(basic::equals);
    assertThat(Files.readString(clone.resolve(".git/config")))
        .contains("url = https://github.test/acme/tool.git")
        .doesNotContain(REAL, token);
    try (Stream<Path> files = Files.walk(clone.resolve(".git"))) {
      assertThat(files.filter(Files::isRegularFile))
          .allSatisfy(file ->
              assertThat(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1))
                  .doesNotContain(REAL, token));
    }
    assertThat(said).doesNotContain(REAL, token);
    assertThat(agent(token, clone, "fetch", "origin")).doesNotContain("fatal");
  }

  @Test
  void push_whenTheScopeIsToReadOnly_isRefused() throws Exception {
    String token = world.token("github");
    Path clone = folder.resolve("clone");
    agent(token, folder, "clone", "https://github.test/acme/tool.git", clone + "");
    Files.writeString(clone.resolve("README"), "changed\n");
    git(clone, "commit", "-q", "-a", "-m", "two");

    assertThat(agent(token, clone, "push", "origin", "main")).contains("403");
    assertThat(git(folder.resolve("srv/acme/tool.git"), "log", "--oneline", "main"))
        .doesNotContain("two");
  }

  /** As an agent runs it: the token in a file that a credential helper reads. */
  private String agent(String token, Path directory, String... arguments) throws Exception {
    Path tokenFile = Files.writeString(folder.resolve("token"), token);
    List<String> command =
        new ArrayList<>(
            List.of(
                "git",
                "-c",
                "url." + world.gatewayUrl + "/d/github/.insteadOf=https://github.test/",
                "-c",
                "credential.helper=!f() { echo username=any; echo password=$(cat "
                    + tokenFile
                    + "); }; f"));
    command.addAll(List.of(arguments));
    return run(
        command,
        directory,
        Map.of(
            "GIT_SSL_CAINFO",
            world.authorityPem.toString(),
            "GIT_TERMINAL_PROMPT",
            "0",
            "GIT_TRACE_CURL",
            "0"));
  }

  private String git(Path directory, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("git"));
    command.addAll(List.of(arguments));
    return run(command, directory, Map.of());
  }

  private String run(List<String> command, Path directory, Map<String, String> environment)
      throws Exception {
    var builder =
        new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> name.toLowerCase().endsWith("_proxy"));
    builder.environment().put("GIT_CONFIG_GLOBAL", "/dev/null");
    builder.environment().put("GIT_CONFIG_NOSYSTEM", "1");
    for (String who : List.of("AUTHOR", "COMMITTER")) {
      builder.environment().put("GIT_" + who + "_NAME", "t");
      builder.environment().put("GIT_" + who + "_EMAIL", "t@t.test");
    }
    builder.environment().putAll(environment);
    // What the agent's process is given is all there is: no value of it is the real one.
    assertThat(builder.environment().values()).noneMatch(value -> value.contains(REAL));
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return said;
  }

  /** One request to git-http-backend by CGI (RFC 3875). */
  private void backend(HttpExchange exchange) throws IOException {
    String authorization = exchange.getRequestHeaders().getFirst("Authorization");
    authorizations.add(String.valueOf(authorization));
    var builder = new ProcessBuilder(BACKEND.toString());
    Map<String, String> environment = builder.environment();
    environment.put("GIT_PROJECT_ROOT", folder.resolve("srv").toString());
    environment.put("GIT_HTTP_EXPORT_ALL", "1");
    environment.put("GIT_CONFIG_GLOBAL", "/dev/null");
    environment.put("REMOTE_USER", "x-access-token");
    environment.put("REQUEST_METHOD", exchange.getRequestMethod());
    environment.put("PATH_INFO", exchange.getRequestURI().getPath());
    String query = exchange.getRequestURI().getRawQuery();
    environment.put("QUERY_STRING", query == null ? "" : query);
    copy(exchange, "Content-Type", environment, "CONTENT_TYPE");
    copy(exchange, "Content-Encoding", environment, "HTTP_CONTENT_ENCODING");
    copy(exchange, "Git-Protocol", environment, "GIT_PROTOCOL");
    Process process = builder.redirectError(ProcessBuilder.Redirect.DISCARD).start();
    try (OutputStream in = process.getOutputStream()) {
      exchange.getRequestBody().transferTo(in);
    }
    InputStream out = new BufferedInputStream(process.getInputStream());
    int status = 200;
    for (String line = line(out); !line.isEmpty(); line = line(out)) {
      int colon = line.indexOf(':');
      String name = line.substring(0, colon);
      String value = line.substring(colon + 1).strip();
      if (name.equals("Status")) {
        status = Integer.parseInt(value.substring(0, 3));
      } else {
        exchange.getResponseHeaders().add(name, value);
      }
    }
    exchange.sendResponseHeaders(status, 0);
    try (OutputStream body = exchange.getResponseBody()) {
      out.transferTo(body);
    }
  }

  private static void copy(
      HttpExchange exchange, String header, Map<String, String> environment, String variable) {
    String value = exchange.getRequestHeaders().getFirst(header);
    if (value != null) {
      environment.put(variable, value);
    }
  }

  private static String line(InputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    for (int c = in.read(); c >= 0 && c != '\n'; c = in.read()) {
      line.append((char) c);
    }
    return line.toString().strip();
  }
}
