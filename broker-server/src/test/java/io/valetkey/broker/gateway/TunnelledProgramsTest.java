package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.realparts.Python;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Programs as they are, by a tunnel that nobody looks into: each trusts the authority of its
 * destination and none of ours, and what it says gets there as it said it. A program that is not
 * installed skips its test. Invariant: G22.
 */
@Timeout(180)
class TunnelledProgramsTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";

  @TempDir private Path folder;
  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid(HOST),
            (request, out) -> TestUpstream.ok(out, "hello <" + request.text() + ">"));
    Duration patient = Duration.ofSeconds(30);
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust(), patient, patient, patient);
    gateway.kind = DestinationKind.TUNNEL;
    Files.writeString(folder.resolve("ca.pem"), CERTIFICATES.pem());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private String url(String path) {
    return "https://" + HOST + ":" + upstream.port() + path;
  }

  private String proxy() {
    return "http://agent:good@127.0.0.1:" + gateway.forward.port();
  }

  private static void installed(String program) throws Exception {
    try {
      new ProcessBuilder(program, "--version").start().waitFor();
    } catch (IOException e) {
      assumeTrue(false, "SKIPPED: there is no " + program + " on the PATH");
    }
  }

  private String run(Map<String, String> environment, String... command) throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.directory(folder.toFile());
    String path = builder.environment().get("PATH");
    builder.environment().clear();
    builder.environment().put("PATH", path);
    builder.environment().put("HOME", folder.toString());
    builder.environment().putAll(environment);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(output).isZero();
    return output;
  }

  /** Everything went by tunnels that were read by nobody, and each has its beginning and end. */
  private void allByTunnels() {
    assertThat(gateway.fetches).hasValue(0);
    assertThat(gateway.certificates.size()).isZero();
    assertThat(upstream.requests)
        .isNotEmpty()
        .allSatisfy(
            request -> assertThat(request.head()).doesNotContain("Proxy-", TestGateway.KEY));
    await().until(() -> gateway.live.size() == 0);
    await()
        .untilAsserted(() -> {
          assertThat(gateway.records)
              .filteredOn(record -> record.outcome().equals("granted"))
              .isNotEmpty()
              .allSatisfy(record -> assertThat(record.details()).containsEntry("way", "tunnel"));
          assertThat(gateway.records)
              .filteredOn(record -> record.outcome().equals("ended"))
              .hasSameSizeAs(
                  gateway.records.stream().filter(r -> r.outcome().equals("granted")).toList());
        });
  }

  @Test
  void curl_byItsOption_bringsItsOwnCredential() throws Exception {
    installed("curl");
    List<String> command =
        new ArrayList<>(
            List.of(
                "curl", "-sS", "-x", proxy(), "--cacert", "ca.pem", "-H", "x-api-key: sk-of-mine"));
    command.add(url("/v1/a"));
    assertThat(run(Map.of(), command.toArray(String[]::new))).isEqualTo("hello <>");
    command.addAll(List.of("-d", "body"));
    assertThat(run(Map.of(), command.toArray(String[]::new))).isEqualTo("hello <body>");
    assertThat(upstream.requests)
        .allSatisfy(
            request -> assertThat(request.values("x-api-key")).containsExactly("sk-of-mine"));
    allByTunnels();
  }

  @Test
  void curl_thatTrustsNobodyThere_isTheOneToSayNo() throws Exception {
    installed("curl");
    assertThat(run(Map.of(), "sh", "-c", "curl -sS -x " + proxy() + " " + url("/") + " || true"))
        .containsIgnoringCase("certificate");
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void git_clonesByItsProxyOfOneHost() throws Exception {
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
          Path file = bare.resolve(path.substring("/origin.git/".length()));
          if (Files.isRegularFile(file)) {
            TestUpstream.ok(out, Files.readString(file, StandardCharsets.ISO_8859_1));
          } else {
            TestUpstream.raw(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
          }
        };
    run(
        Map.of("GIT_SSL_CAINFO", folder.resolve("ca.pem").toString(), "GIT_TERMINAL_PROMPT", "0"),
        "git",
        "-c",
        "http." + url("/") + ".proxy=" + proxy(),
        "clone",
        url("/origin.git"),
        "cloned");
    assertThat(folder.resolve("cloned/file")).hasContent("content\n");
    allByTunnels();
  }

  @Test
  void pythonRequests_works() throws Exception {
    Path python = Python.with("python-sdks", "openai", "requests");
    Files.writeString(
        folder.resolve("agent.py"),
        """
        import requests, sys
        with requests.Session() as session:
            session.proxies = {"https": sys.argv[2]}
            session.verify = "ca.pem"
            print(session.get(sys.argv[1]).text)
            print(session.post(sys.argv[1], data="body").text)
        """);
    String output = run(Map.of(), python.toString(), "agent.py", url("/v1/a"), proxy());
    assertThat(output).contains("hello <>", "hello <body>");
    allByTunnels();
  }

  @Test
  void javaHttpClient_works() throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", CERTIFICATES.authority());
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
    allByTunnels();
  }
}
