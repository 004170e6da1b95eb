package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.valetkey.realparts.Python;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Programs as they are, with the proxy's address and its authority and nothing else: what they ask
 * for comes from a real TLS upstream that wants a credential which none of them holds. A program
 * that is not installed skips its test. Invariants: G15, G17, P6.
 */
@Timeout(180)
class UnmodifiedProgramsTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";

  @TempDir private Path folder;
  private TestUpstream upstream;
  private TestGateway gateway;
  private Path authority;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid(HOST),
            (request, out) -> {
              boolean known =
                  request.values("authorization").equals(List.of("Bearer " + TestGateway.KEY));
              TestUpstream.ok(out, known ? "hello <" + request.text() + ">" : "who are you?");
            });
    Duration patient = Duration.ofSeconds(30);
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust(), patient, patient, patient);
    authority =
        Files.writeString(folder.resolve("ca.pem"), gateway.certificates.authority().trustedPem());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private String url(String path) {
    return "https://" + HOST + ":" + upstream.port() + path;
  }

  private static void installed(String program) throws Exception {
    try {
      new ProcessBuilder(program, "--version").start().waitFor();
    } catch (IOException e) {
      assumeTrue(false, "SKIPPED: there is no " + program + " on the PATH");
    }
  }

  /** Runs a program with a clean environment and looks whether the credential is anywhere near. */
  private String run(Map<String, String> environment, String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.directory(folder.toFile());
    String path = builder.environment().get("PATH");
    builder.environment().clear();
    builder.environment().put("PATH", path);
    builder.environment().put("HOME", folder.toString());
    String proxy = "http://agent:good@127.0.0.1:" + gateway.forward.port();
    builder.environment().put("HTTPS_PROXY", proxy);
    builder.environment().put("https_proxy", proxy);
    builder.environment().putAll(environment);
    Process process = builder.start();
    Path environ = Path.of("/proc/" + process.pid() + "/environ");
    String seen = "";
    try {
      seen = Files.readString(environ, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      // Gone already, or no such file system: what we gave it is known below.
      seen = builder.environment().toString();
    }
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    assertThat(seen + output + Arrays.toString(command)).doesNotContain(TestGateway.KEY);
    return output;
  }

  /** Nothing but what the policy allows went out, and every request with the real credential. */
  private void allWithTheCredential() {
    assertThat(upstream.requests)
        .isNotEmpty()
        .allSatisfy(request -> {
          assertThat(request.values("authorization")).containsExactly("Bearer " + TestGateway.KEY);
          assertThat(request.head()).doesNotContain("good", "sk-of-the-agent", "Proxy-");
        });
  }

  @Test
  void curl_getsAndPosts() throws Exception {
    installed("curl");
    String[] common = {
      "-sSv", "--cacert", authority.toString(), "-H", "x-api-key: sk-of-the-agent"
    };
    List<String> get = new ArrayList<>(List.of("curl"));
    get.addAll(List.of(common));
    get.add(url("/v1/a"));
    assertThat(run(Map.of(), get.toArray(String[]::new))).contains("hello <>");
    get.addAll(List.of("-d", "body", "-H", "Expect: 100-continue"));
    assertThat(run(Map.of(), get.toArray(String[]::new))).contains("hello <body>");
    allWithTheCredential();
  }

  @Test
  void curl_speaksHttp2_inATunnelAndByBaseUrl() throws Exception {
    installed("curl");
    assumeTrue(
        run(Map.of(), "curl", "--version").contains("HTTP2"), "SKIPPED: this curl has no HTTP/2");
    assertThat(
            run(
                Map.of(),
                "curl",
                "-sSi",
                "--http2",
                "--cacert",
                authority.toString(),
                url("/v1/a")))
        .startsWith("HTTP/1.1 200")
        .contains("HTTP/2 200", "hello <>");
    try (var own =
        new TestGateway(
            upstream.port(), CERTIFICATES.trust(), CERTIFICATES.validKeys("localhost"))) {
      Path ca = Files.writeString(folder.resolve("own.pem"), CERTIFICATES.pem());
      String answer =
          run(
              Map.of("no_proxy", "localhost"),
              "curl",
              "-sSi",
              "--http2",
              "--cacert",
              ca.toString(),
              "-H",
              "Authorization: Bearer good",
              "-d",
              "body",
              "https://localhost:" + own.server.port() + "/d/up/v1/a");
      assertThat(answer).startsWith("HTTP/2 200").contains("hello <body>");
    }
    allWithTheCredential();
  }

  @Test
  void curl_whenItAsksForAnythingElse_getsNothing() throws Exception {
    installed("curl");
    for (String other :
        List.of("https://other.test/v1/a", "https://127.0.0.1/", "http://" + HOST)) {
      String output =
          run(
              Map.of("http_proxy", "http://agent:good@127.0.0.1:" + gateway.forward.port()),
              "sh",
              "-c",
              "curl -sSi --cacert ca.pem " + other + " || true");
      assertThat(output).contains("404");
    }
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.lookups).hasValue(0);
  }

  @Test
  void git_clones() throws Exception {
    installed("git");
    Path bare = folder.resolve("origin.git");
    Map<String, String> who =
        Map.of(
            "GIT_AUTHOR_NAME", "a",
            "GIT_AUTHOR_EMAIL", "a@b",
            "GIT_COMMITTER_NAME", "a",
            "GIT_COMMITTER_EMAIL", "a@b");
    run(
        who,
        "sh",
        "-ec",
        "git init -q work && cd work && echo content > file && git add file && git commit -qm one"
            + " && git clone -q --bare . ../origin.git && cd ../origin.git && git update-server-info");
    upstream.script =
        (request, out) -> {
          String path = request.requestLine().split(" ")[1].replaceAll("\\?.*", "");
          Path file = bare.resolve(path.substring("/v1/origin.git/".length()));
          if (Files.isRegularFile(file)) {
            TestUpstream.ok(out, Files.readString(file, StandardCharsets.ISO_8859_1));
          } else {
            TestUpstream.raw(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
          }
        };
    run(
        Map.of("GIT_SSL_CAINFO", authority.toString(), "GIT_TERMINAL_PROMPT", "0"),
        "git",
        "clone",
        url("/v1/origin.git"),
        "cloned");
    assertThat(folder.resolve("cloned/file")).hasContent("content\n");
    allWithTheCredential();
  }

  @Test
  void pythonRequests_works() throws Exception {
    Path python = Python.with("python-sdks", "openai", "requests");
    Files.writeString(
        folder.resolve("agent.py"),
        """
        import requests, sys
        session = requests.Session()
        print(session.get(sys.argv[1]).text)
        print(session.post(sys.argv[1], data="body", headers={"Authorization": "Bearer sk-of-the-agent"}).text)
        """);
    String output =
        run(
            Map.of("REQUESTS_CA_BUNDLE", authority.toString()),
            python.toString(),
            "agent.py",
            url("/v1/a"));
    assertThat(output).contains("hello <>", "hello <body>");
    allWithTheCredential();
  }

  @Test
  void javaHttpClient_works() throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", gateway.certificates.authority().trusted());
    try (var out = Files.newOutputStream(folder.resolve("trust.p12"))) {
      store.store(out, "changeit".toCharArray());
    }
    Files.writeString(
        folder.resolve("Agent.java"),
        """
        import java.net.Authenticator;
        import java.net.InetSocketAddress;
        import java.net.PasswordAuthentication;
        import java.net.ProxySelector;
        import java.net.URI;
        import java.net.http.HttpClient;
        import java.net.http.HttpRequest;
        import java.net.http.HttpResponse;
        public class Agent {
          public static void main(String[] args) throws Exception {
            var client = HttpClient.newBuilder()
                .proxy(ProxySelector.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[1]))))
                .authenticator(new Authenticator() {
                  @Override protected PasswordAuthentication getPasswordAuthentication() {
                    return new PasswordAuthentication("agent", "good".toCharArray());
                  }
                })
                .build();
            for (int i = 0; i < 2; i++) {
              var request = HttpRequest.newBuilder(URI.create(args[0])).build();
              System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
            }
          }
        }
        """);
    String output =
        run(
            Map.of(),
            Path.of(System.getProperty("java.home"), "bin/java").toString(),
            "-Djdk.http.auth.tunneling.disabledSchemes=",
            "-Djavax.net.ssl.trustStore=trust.p12",
            "-Djavax.net.ssl.trustStorePassword=changeit",
            "Agent.java",
            url("/v1/a"),
            String.valueOf(gateway.forward.port()));
    assertThat(output).contains("hello <>\nhello <>");
    allWithTheCredential();
  }

  /** The {@code fetch} of Node reads the variables from version 24 on, and only if it is told. */
  @Test
  void nodeFetch_works() throws Exception {
    installed("node");
    String version = run(Map.of(), "node", "-p", "process.versions.node.split('.')[0]").strip();
    assumeTrue(
        Integer.parseInt(version) >= 24, "SKIPPED: Node " + version + " cannot, 24 is needed");
    String output =
        run(
            Map.of("NODE_USE_ENV_PROXY", "1", "NODE_EXTRA_CA_CERTS", authority.toString()),
            "node",
            "-e",
            "fetch('" + url("/v1/a") + "').then(r => r.text()).then(console.log)");
    assertThat(output).contains("hello <>");
    allWithTheCredential();
  }
}
