package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.TestTrustDomain.Svid;
import io.valetkey.broker.crypto.CertificateThumbprint;
import io.valetkey.realparts.NeedsPrograms;
import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The forward proxy over TLS, with client certificates, at a whole broker: unmodified programs, and
 * sockets for what they would not do. Invariants: I11, I12, I13, I14, G15.
 */
@Timeout(180)
class ProxyCertificateTest {

  private static final String ID = "spiffe://td-a.test/bot";
  private static final String CHAT = "/v1/chat/completions";
  private static final TestTrustDomain OURS = TestTrustDomain.of("td-a.test");
  private static final TestTrustDomain OTHER = TestTrustDomain.of("td-b.test");

  /**
   * RSA, because GnuTLS, and so git, does not read the keys of elliptic curves that Java writes.
   */
  private static final Svid BOT = OURS.svid("/bot").rsa(2048).make();

  /** How a request goes through the proxy. */
  enum Through {
    /** The whole URL as the request's target. */
    ABSOLUTE_FORM,
    /** CONNECT, and TLS that ends at the gateway. */
    INTERCEPT,
    /** CONNECT, and TLS that nobody looks into. */
    TUNNEL
  }

  @TempDir private static Path folder;
  private static TestAuthority authority;
  private static ProviderUpstream brokered;
  private static ProviderUpstream tunnelled;
  private static RunningBroker broker;
  private static String mtls;
  private static int proxy;

  @BeforeAll
  static void start() throws Exception {
    authority = TestAuthority.create("servers");
    brokered = new ProviderUpstream(authority);
    tunnelled = new ProviderUpstream(authority);
    MutualTls.show(folder, authority.server("localhost"));
    write("bot", BOT);
    proxy = RunningBroker.freePort();
    mtls = "https://localhost:" + RunningBroker.freePort();
    broker = RunningBroker.start(settings());
    writePolicy();
  }

  private static void write(String name, Svid svid) throws Exception {
    Files.writeString(folder.resolve(name + ".pem"), svid.pem());
    Files.writeString(folder.resolve(name + ".key"), svid.keyPem());
  }

  private static Map<String, String> settings() throws IOException {
    Map<String, String> settings = MutualTls.settings(mtls, folder, authority);
    settings.put("valetkey.gateway.forward.port", String.valueOf(proxy));
    settings.put("valetkey.gateway.forward.address", "127.0.0.1");
    settings.put("valetkey.gateway.forward.certificate-suffices", "true");
    settings.put("valetkey.gateway.forward.ca-file", folder.resolve("interception.pem").toString());
    settings.put("valetkey.gateway.forward.ca-domains", "localhost");
    return settings;
  }

  private static void writePolicy() throws Exception {
    new Policies(broker)
        .spiffe("mesh", "td-a.test", OURS.pem())
        .agent("bot", "mesh", ID, "")
        .agent("other", "mesh", "spiffe://td-a.test/other", "")
        .agent("poor", "mesh", "spiffe://td-a.test/poor", "")
        .agent("disabled", "mesh", "spiffe://td-a.test/disabled", ",\"enabled\":false")
        .agent("twice", "mesh", "spiffe://td-a.test/twice", "")
        .agent("stoppable", "mesh", "spiffe://td-a.test/stoppable", "")
        .destination(
            "openai",
            "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}"
                .formatted(brokered.origin()))
        .scope(
            "openai",
            "chat",
            "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"%s\"]}]}".formatted(CHAT))
        .destination(
            "openai-eu",
            "{\"kind\":\"http\",\"origin\":\"%s\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}"
                .formatted(brokered.origin()))
        .scope(
            "openai-eu",
            "chat",
            "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"%s\"]}]}".formatted(CHAT))
        .destination(
            "pinned", "{\"kind\":\"tunnel\",\"origin\":\"%s\"}".formatted(tunnelled.origin()))
        .scope("pinned", "all", "{\"tunnel\":true}")
        .grant("bot-openai", "bot", "openai", List.of("chat"))
        .grant("bot-pinned", "bot", "pinned", List.of("all"))
        .grant("other-openai", "other", "openai", List.of("chat"))
        .grant("other-pinned", "other", "pinned", List.of("all"))
        .grant("twice-openai", "twice", "openai", List.of("chat"))
        .grant("twice-openai-eu", "twice", "openai-eu", List.of("chat"))
        .grant("stoppable-openai", "stoppable", "openai", List.of("chat"))
        .grant("stoppable-pinned", "stoppable", "pinned", List.of("all"))
        .grant("disabled-openai", "disabled", "openai", List.of("chat"))
        .grant("disabled-pinned", "disabled", "pinned", List.of("all"))
        .await(broker);
  }

  @AfterAll
  static void stop() {
    broker.close();
    brokered.close();
    tunnelled.close();
  }

  private static SSLContext context(Svid svid) {
    return svid == null ? authority.trust() : svid.trusting(authority.certificate());
  }

  private static String token(Svid svid, String id, Through way) throws Exception {
    String form =
        "grant_type=client_credentials&client_id="
            + id
            + "&audience="
            + (way == Through.TUNNEL ? "pinned" : "openai");
    try (HttpClient client = HttpClient.newBuilder().sslContext(context(svid)).build()) {
      var answer =
          client.send(
              HttpRequest.newBuilder(URI.create(mtls + "/oauth2/token"))
                  .header("Content-Type", "application/x-www-form-urlencoded")
                  .timeout(Duration.ofSeconds(30))
                  .POST(BodyPublishers.ofString(form))
                  .build(),
              BodyHandlers.ofString());
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
      return JsonMapper.shared().readTree(answer.body()).path("access_token").asString();
    }
  }

  private static ProviderUpstream upstream(Through way) {
    return way == Through.TUNNEL ? tunnelled : brokered;
  }

  private static String authorityOf(Through way) {
    return upstream(way).origin().substring("https://".length());
  }

  private static SSLSocket toProxy(Svid svid) throws IOException {
    var socket = (SSLSocket) context(svid).getSocketFactory().createSocket("localhost", proxy);
    socket.setSoTimeout(30_000);
    return socket;
  }

  /** All of the answer up to the end of its head. */
  private static String head(Socket socket) throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int c = socket.getInputStream().read();
      if (c < 0) {
        return head + " (closed)";
      }
      head.append((char) c);
    }
    return head.toString();
  }

  private static void send(Socket socket, String text) throws IOException {
    socket.getOutputStream().write(text.getBytes(StandardCharsets.ISO_8859_1));
    socket.getOutputStream().flush();
  }

  private static String post(String target, Through way, String fields) {
    return "POST %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: 2\r\n\r\n{}"
        .formatted(target, authorityOf(way), fields);
  }

  private static String connect(Through way, String fields) {
    return "CONNECT %1$s HTTP/1.1\r\nHost: %1$s\r\n%2$s\r\n".formatted(authorityOf(way), fields);
  }

  private static String bearer(String token) {
    return token == null ? "" : "Proxy-Authorization: Bearer " + token + "\r\n";
  }

  private static SSLSocket inside(Socket outer, Through way) throws IOException {
    SSLContext trust =
        way == Through.TUNNEL
            ? authority.trust()
            : TestAuthority.trusting(folder.resolve("interception.pem"));
    var tls = (SSLSocket) trust.getSocketFactory().createSocket(outer, "localhost", proxy, true);
    SSLParameters parameters = tls.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    parameters.setServerNames(List.of(new SNIHostName("localhost")));
    tls.setSSLParameters(parameters);
    return tls;
  }

  /** The status of one request, or of the CONNECT before it if that got no tunnel. */
  private static String ask(Svid svid, Through way, String fields) throws IOException {
    try (SSLSocket outer = toProxy(svid)) {
      if (way == Through.ABSOLUTE_FORM) {
        send(outer, post(brokered.origin() + CHAT, way, fields));
        return head(outer);
      }
      send(outer, connect(way, fields));
      String answer = head(outer);
      if (!answer.startsWith("HTTP/1.1 200")) {
        return answer;
      }
      try (SSLSocket tls = inside(outer, way)) {
        send(tls, post(CHAT, way, ""));
        return head(tls);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Through.class)
  void boundToken_worksOnAConnectionOfItsCertificateOnly(Through way) throws Exception {
    String token = token(BOT, ID, way);
    Svid other = OURS.workload("/other");

    assertThat(ask(BOT, way, bearer(token))).startsWith("HTTP/1.1 200");
    String basic =
        Base64.getEncoder().encodeToString(("x:" + token).getBytes(StandardCharsets.UTF_8));
    assertThat(ask(BOT, way, "Proxy-Authorization: Basic " + basic + "\r\n"))
        .startsWith("HTTP/1.1 200");

    int before = upstream(way).count();
    assertThat(ask(null, way, bearer(token))).as("no certificate").startsWith("HTTP/1.1 407");
    assertThat(ask(OURS.workload("/bot"), way, bearer(token)))
        .as("another certificate of the same workload")
        .startsWith("HTTP/1.1 407");
    assertThat(ask(other, way, bearer(token))).as("another agent's").startsWith("HTTP/1.1 407");
    assertThat(ask(OTHER.svid("/bot").uris(ID).make(), way, bearer(token)))
        .as("a forged certificate")
        .startsWith("HTTP/1.1 407");
    assertThat(ask(BOT, way, bearer(token(other, "spiffe://td-a.test/other", way))))
        .as("another agent's token")
        .startsWith("HTTP/1.1 407");
    assertThat(ask(BOT, way, bearer(token) + "DPoP: x\r\n"))
        .as("a second proof")
        .startsWith("HTTP/1.1 407");
    assertThat(upstream(way).count()).isEqualTo(before);

    assertThat(ask(BOT, way, bearer(token))).startsWith("HTTP/1.1 200");
  }

  /** The certificate is asked for at each request: a connection can be used for several tokens. */
  @Test
  void keptAliveConnection_takesTheTokensOfItsOwnCertificateOnly() throws Exception {
    String own = token(BOT, ID, Through.ABSOLUTE_FORM);
    String foreign =
        token(OURS.workload("/other"), "spiffe://td-a.test/other", Through.ABSOLUTE_FORM);
    String target = brokered.origin() + CHAT;
    try (SSLSocket socket = toProxy(BOT)) {
      for (int i = 0; i < 2; i++) {
        send(socket, post(target, Through.ABSOLUTE_FORM, bearer(own)));
        String head = head(socket);
        assertThat(head).startsWith("HTTP/1.1 200");
        skipBody(socket, head);
      }
      send(socket, post(target, Through.ABSOLUTE_FORM, bearer(foreign)));
      assertThat(head(socket)).startsWith("HTTP/1.1 407");
    }
  }

  private static void skipBody(Socket socket, String head) throws IOException {
    String lower = head.toLowerCase(java.util.Locale.ROOT);
    int at = lower.indexOf("content-length: ");
    if (at >= 0) {
      int length = Integer.parseInt(lower.substring(at + 16, lower.indexOf('\r', at)).strip());
      socket.getInputStream().readNBytes(length);
      return;
    }
    StringBuilder body = new StringBuilder();
    while (body.indexOf("0\r\n\r\n") < 0) {
      body.append((char) socket.getInputStream().read());
    }
  }

  private static List<String> curl(Through way, String certificate, String token) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "curl",
                "-sS",
                "-D",
                "-",
                "--max-time",
                "60",
                "--noproxy",
                "",
                "--proxy",
                "https://localhost:" + proxy,
                "--proxy-cacert",
                folder.resolve("ca.pem").toString(),
                "--cacert",
                folder.resolve(way == Through.TUNNEL ? "ca.pem" : "interception.pem").toString(),
                "-d",
                "{}"));
    if (certificate != null) {
      command.addAll(
          List.of(
              "--proxy-cert",
              folder.resolve(certificate + ".pem").toString(),
              "--proxy-key",
              folder.resolve(certificate + ".key").toString()));
    }
    if (token != null) {
      command.addAll(List.of("--proxy-user", "valetkey:" + token));
    }
    command.add(upstream(way).origin() + CHAT);
    return command;
  }

  private static String run(List<String> command) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).directory(folder.toFile());
    // Whom this machine's programs trust otherwise is not to count.
    String path = builder.environment().get("PATH");
    builder.environment().clear();
    builder.environment().put("PATH", path);
    builder.environment().put("HOME", folder.toString());
    Process process = builder.start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(90, TimeUnit.SECONDS)).isTrue();
    return output;
  }

  /** The commands of the how-to. */
  @ParameterizedTest
  @EnumSource(
      value = Through.class,
      names = {"INTERCEPT", "TUNNEL"})
  @NeedsPrograms("curl")
  void curl_withItsCertificateAndToken_getsThrough(Through way) throws Exception {
    String token = token(BOT, ID, way);
    assertThat(run(curl(way, "bot", token))).contains("200 Connection established", "chatcmpl-1");
    assertThat(run(curl(way, null, token)))
        .contains("407", "Proxy-Authenticate: Basic")
        .doesNotContain("chatcmpl-1");
  }

  @Test
  @NeedsPrograms("git")
  void git_withItsCertificateAlone_getsThrough() throws Exception {
    int before = tunnelled.count();
    assertThat(run(git(proxy, "bot", "wrong"))).as("it asks without first").contains("not found");
    assertThat(run(git(proxy, null, "wrong"))).contains("407");
    assertThat(tunnelled.count()).isEqualTo(before);
  }

  private static List<String> git(int port, String certificate, String token) {
    List<String> command = new ArrayList<>(List.of("git"));
    Map<String, String> settings = new HashMap<>();
    settings.put("http.proxy", "https://valetkey:" + token + "@localhost:" + port);
    settings.put("http.proxySSLCAInfo", folder.resolve("ca.pem").toString());
    settings.put("http.sslCAInfo", folder.resolve("ca.pem").toString());
    settings.put("core.askPass", "false");
    settings.put("credential.helper", "");
    if (certificate != null) {
      settings.put("http.proxySSLCert", folder.resolve(certificate + ".pem").toString());
      settings.put("http.proxySSLKey", folder.resolve(certificate + ".key").toString());
    }
    settings.forEach((name, value) -> command.addAll(List.of("-c", name + "=" + value)));
    command.addAll(List.of("ls-remote", tunnelled.origin() + "/team/repository.git"));
    return command;
  }

  @ParameterizedTest
  @EnumSource(
      value = Through.class,
      names = {"INTERCEPT", "TUNNEL"})
  @NeedsPrograms("curl")
  void curl_withItsCertificateAlone_getsThrough(Through way) throws Exception {
    assertThat(run(curl(way, "bot", null))).contains("200 Connection established", "chatcmpl-1");
    assertThat(run(curl(way, null, null)))
        .contains("407", "Proxy-Authenticate: Basic")
        .doesNotContain("chatcmpl-1");
  }

  /** The same record as with a token, and in its place the certificate. */
  @ParameterizedTest
  @EnumSource(Through.class)
  void certificateAlone_isRecordedLikeAToken(Through way) throws Exception {
    Svid fresh = OURS.workload("/bot");

    assertThat(ask(fresh, way, "")).startsWith("HTTP/1.1 200");

    if (way != Through.TUNNEL) {
      assertThat(upstream(way).last().get("Authorization")).containsExactly("Bearer sk-real");
    }
    String certificate = CertificateThumbprint.of(fresh.leaf());
    assertThat(
            record(
                "outcome || ' ' || agent || ' ' || issuer || ' ' || subject || ' ' || destination"
                    + " || ' ' || (details ->> 'rule') || ' ' || (jti IS NOT NULL)",
                "details ->> 'certificate' = ? AND details ->> 'rule' IS NOT NULL",
                certificate))
        .isEqualTo(
            way == Through.TUNNEL
                ? "granted bot mesh " + ID + " pinned all true"
                : "granted bot mesh " + ID + " openai chat:" + CHAT + " true");
  }

  /** The newest record that is meant. */
  private static String record(String columns, String meant, String value) throws Exception {
    try (var database = broker.database();
        var statement =
            database.prepareStatement(
                "SELECT "
                    + columns
                    + " FROM audit_record WHERE action = 'gateway.request' AND "
                    + meant
                    + " ORDER BY time DESC, seq DESC LIMIT 1")) {
      statement.setString(1, value);
      try (var rows = statement.executeQuery()) {
        assertThat(rows.next()).isTrue();
        return rows.getString(1);
      }
    }
  }

  static Stream<Arguments> nobodies() {
    Instant now = Instant.now();
    return Stream.of(
        Arguments.of("another trust domain", OTHER.workload("/bot"), "issuer_unknown"),
        Arguments.of(
            "another's authority", OTHER.svid("/bot").uris(ID).make(), "signature_invalid"),
        Arguments.of("self-signed", OURS.svid("/bot").selfSigned(), "signature_invalid"),
        Arguments.of(
            "ended",
            OURS.svid("/bot").life(now.minusSeconds(600), now.minusSeconds(60)).make(),
            "token_expired"),
        Arguments.of(
            "for servers",
            OURS.svid("/bot").purposes(KeyPurposeId.id_kp_serverAuth).make(),
            "claims_invalid"),
        Arguments.of("two names", OURS.svid("/bot").uris(ID, ID).make(), "token_malformed"),
        Arguments.of("nobody's", OURS.workload("/stranger"), "agent_unknown"),
        Arguments.of("disabled", OURS.workload("/disabled"), "agent_disabled"),
        Arguments.of("none", null, "unauthorized"));
  }

  /** The wire says the same of all of them; the record says which it was. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("nobodies")
  void certificateAlone_whenAnythingIsWrong_isAskedForAToken(String name, Svid svid, String reason)
      throws Exception {
    int before = brokered.count() + tunnelled.count();
    for (Through way : Through.values()) {
      String answer = ask(svid, way, "");
      assertThat(answer)
          .startsWith("HTTP/1.1 407")
          .containsIgnoringCase("Proxy-Authenticate: Basic")
          .containsIgnoringCase("Valetkey-Error: proxy_unauthorized");
      assertThat(record("reason", "outcome = ?", "refused")).isEqualTo(reason);
    }
    assertThat(brokered.count() + tunnelled.count()).isEqualTo(before);
  }

  /** Whatever stands where a token belongs counts, and a certificate does not make up for it. */
  @ParameterizedTest
  @EnumSource(Through.class)
  void badToken_besideAGoodCertificate_isRefused(Through way) throws Exception {
    String empty = Base64.getEncoder().encodeToString("bot:".getBytes(StandardCharsets.UTF_8));
    for (String value : List.of("Basic " + empty, "Bearer x.y.z", "Bearer ", "DPoP x", "")) {
      assertThat(ask(BOT, way, "Proxy-Authorization: " + value + "\r\n"))
          .as(value)
          .startsWith("HTTP/1.1 407");
    }
    assertThat(ask(BOT, way, "DPoP: x\r\n")).as("a second proof").startsWith("HTTP/1.1 407");
  }

  @Test
  void certificateAlone_leadsOnlyWhereExactlyOneGrantLeads() throws Exception {
    for (Through way : Through.values()) {
      String none = ask(OURS.workload("/poor"), way, "");
      assertThat(none).startsWith("HTTP/1.1 404").contains("not_found");
    }
    assertThat(ask(OURS.workload("/twice"), Through.INTERCEPT, "")).startsWith("HTTP/1.1 404");
    String named = token(OURS.workload("/twice"), "spiffe://td-a.test/twice", Through.INTERCEPT);
    assertThat(named).isNotEmpty();
    try (SSLSocket outer = toProxy(BOT)) {
      send(outer, "CONNECT unknown.test:443 HTTP/1.1\r\nHost: unknown.test:443\r\n\r\n");
      assertThat(head(outer)).startsWith("HTTP/1.1 404").contains("not_found");
    }
    try (SSLSocket outer = toProxy(BOT)) {
      send(outer, connect(Through.INTERCEPT, ""));
      head(outer);
      try (SSLSocket tls = inside(outer, Through.INTERCEPT)) {
        send(tls, post("/v1/messages", Through.INTERCEPT, ""));
        assertThat(head(tls)).as("outside the scopes").startsWith("HTTP/1.1 403");
      }
    }
  }

  /** Git sends nothing until it is asked, so the challenge has to come over TLS as well. */
  @Test
  @NeedsPrograms("git")
  void withoutTheSetting_aCertificateIsNoToken_andGitIsAskedForOne() throws Exception {
    int port = RunningBroker.freePort();
    try (RunningBroker gateway = broker.replica(cautious(port))) {
      new Policies(broker).await(gateway);
      try (SSLSocket outer =
          (SSLSocket) context(BOT).getSocketFactory().createSocket("localhost", port)) {
        outer.setSoTimeout(30_000);
        send(outer, connect(Through.INTERCEPT, ""));
        assertThat(head(outer)).startsWith("HTTP/1.1 407");
        assertThat(record("reason", "outcome = ?", "refused")).isEqualTo("unauthorized");
      }
      String token = token(BOT, ID, Through.TUNNEL);
      assertThat(run(git(port, "bot", token))).contains("not found").doesNotContain("407");
      assertThat(run(git(port, null, token))).contains("407");
      assertThat(run(git(port, "bot", "wrong"))).contains("407");
    }
  }

  /** A gateway of the same policy that was not told that certificates suffice. */
  private static Map<String, String> cautious(int port) throws IOException {
    Map<String, String> settings = settings();
    settings.keySet().removeIf(name -> name.contains("suffices") || name.contains(".mtls."));
    settings.put("valetkey.roles", "gateway");
    settings.put("valetkey.gateway.forward.port", String.valueOf(port));
    settings.put("valetkey.gateway.forward.ca-file", folder.resolve("other.pem").toString());
    settings.put("valetkey.public-url", broker.url());
    settings.put("valetkey.gateway.public-url", broker.gatewayUrl());
    return settings;
  }

  /** Elsewhere it is what it was: something that a token can be bound to. */
  @Test
  void certificateAlone_isNothingAtTheGatewaysOwnAddress() throws Exception {
    int port = URI.create(broker.gatewayUrl()).getPort();
    try (var socket = (SSLSocket) context(BOT).getSocketFactory().createSocket("localhost", port)) {
      socket.setSoTimeout(30_000);
      send(
          socket,
          "POST /d/openai%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
              .formatted(CHAT));
      assertThat(head(socket)).startsWith("HTTP/1.1 401");
    }
  }

  /** A stop cuts what is open and refuses what is new; lifted, a new connection works again. */
  @Test
  void stop_endsWhatACertificateHasOpened() throws Exception {
    Svid svid = OURS.workload("/stoppable");
    try (SSLSocket intercepted = opened(svid, Through.INTERCEPT);
        SSLSocket tunnel = opened(svid, Through.TUNNEL)) {
      String id = stop("{\"target\":{\"agent\":\"stoppable\"},\"reason\":\"a test\"}");
      for (SSLSocket cut : List.of(intercepted, tunnel)) {
        assertThatThrownBy(
                () -> {
                  send(cut, post(CHAT, Through.INTERCEPT, ""));
                  throw new IOException(head(cut));
                })
            .isInstanceOf(IOException.class)
            .message()
            .doesNotContain("HTTP/1.1 200");
      }
      for (Through way : Through.values()) {
        assertThat(ask(svid, way, "")).startsWith("HTTP/1.1 407");
      }
      assertThat(record("reason", "agent = ?", "stoppable")).isEqualTo("stopped");
      admin("DELETE", "/admin/v1/stops/" + id, "{\"reason\":\"tested\"}");
    }
    await()
        .atMost(Duration.ofSeconds(30))
        .untilAsserted(() -> assertThat(ask(svid, Through.TUNNEL, "")).startsWith("HTTP/1.1 200"));
    assertThat(ask(svid, Through.INTERCEPT, "")).startsWith("HTTP/1.1 200");
  }

  /** A tunnel that has carried a request. */
  private static SSLSocket opened(Svid svid, Through way) throws IOException {
    SSLSocket outer = toProxy(svid);
    send(outer, connect(way, ""));
    assertThat(head(outer)).startsWith("HTTP/1.1 200");
    SSLSocket tls = inside(outer, way);
    send(tls, post(CHAT, way, ""));
    String head = head(tls);
    assertThat(head).startsWith("HTTP/1.1 200");
    skipBody(tls, head);
    return tls;
  }

  private static String stop(String order) throws Exception {
    String id = admin("POST", "/admin/v1/stops", order).path("id").asString();
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> admin("GET", "/admin/v1/stops/" + id, null).path("acknowledged").asBoolean());
    return id;
  }

  private static JsonNode admin(String method, String path, String body) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      var answer =
          client.send(
              HttpRequest.newBuilder(broker.api(path))
                  .header("Authorization", "Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
                  .header("Content-Type", "application/json")
                  .method(
                      method,
                      body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
                  .build(),
              BodyHandlers.ofString());
      assertThat(answer.statusCode()).as(answer.body()).isBetween(200, 299);
      return answer.body().isEmpty()
          ? JsonMapper.shared().nullNode()
          : JsonMapper.shared().readTree(answer.body());
    }
  }

  /** Who loses the identity loses what its certificate was good for, in an open tunnel too. */
  @Test
  void identityThatIsTakenAway_endsAtOnce() throws Exception {
    Svid svid = OURS.workload("/leaver");
    var policies = new Policies(broker);
    policies
        .agent("leaver", "mesh", "spiffe://td-a.test/leaver", "")
        .grant("leaver-openai", "leaver", "openai", List.of("chat"))
        .await(broker);
    try (SSLSocket tunnel = opened(svid, Through.INTERCEPT)) {
      policies
          .write(
              "agent",
              "leaver",
              "UPDATE agent SET spec = ?::jsonb, version = version + 1 WHERE name = ?",
              "{\"identities\":[{\"issuer\":\"mesh\",\"subject\":\"spiffe://td-a.test/else\"}]}",
              "leaver")
          .await(broker);
      send(tunnel, post(CHAT, Through.INTERCEPT, ""));
      assertThat(head(tunnel)).startsWith("HTTP/1.1 401");
    }
    assertThat(ask(svid, Through.INTERCEPT, "")).startsWith("HTTP/1.1 407");
  }

  /** Each request is asked for: what was begun with a certificate does not outlive it. */
  @Test
  void certificateThatEnds_endsWhatItWasGoodFor() throws Exception {
    Instant end = Instant.now().plusSeconds(12);
    Svid brief = OURS.svid("/bot").life(Instant.now().minusSeconds(60), end).make();
    try (SSLSocket tunnel = opened(brief, Through.INTERCEPT)) {
      await().atMost(Duration.ofSeconds(60)).until(() -> Instant.now().isAfter(end.plusSeconds(6)));
      send(tunnel, post(CHAT, Through.INTERCEPT, ""));
      assertThat(head(tunnel)).startsWith("HTTP/1.1 401");
      for (Through way : Through.values()) {
        assertThat(ask(brief, way, "")).startsWith("HTTP/1.1 407");
      }
    }
  }
}
