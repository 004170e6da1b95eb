package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.problem.ProblemCode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;

/**
 * CONNECT at the forward proxy, with TLS that ends there, from raw sockets to a real TLS upstream.
 * Invariants: G2, G3, G15, G16, G17.
 */
@Timeout(120)
class InterceptTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final String HOST = "upstream.test";

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid(HOST),
            (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private String authority() {
    return HOST + ":" + upstream.port();
  }

  private TestTunnel tunnel(String token) throws Exception {
    return TestTunnel.open(gateway, authority(), token);
  }

  @Test
  void requests_inATunnel_areCarriedOutOneByOne() throws Exception {
    try (TestTunnel tunnel = tunnel("good")) {
      TestHttp.Answer first =
          tunnel
              .send(
                  "POST /v1/chat?key=mine&a=1 HTTP/1.1\r\nHost: "
                      + authority()
                      + "\r\nAuthorization: Bearer sk-mine\r\nX-Keep: 1\r\nContent-Length: 3\r\n\r\nabc")
              .read();
      assertThat(first.status()).isEqualTo(200);
      assertThat(first.body()).isEqualTo("<abc>");
      assertThat(tunnel.send(get("/v1/b")).read().status()).isEqualTo(200);
      assertThat(tunnel.send(get("/other")).read().status()).isEqualTo(403);
      assertThat(tunnel.send(get("/v1/c")).read().status()).isEqualTo(200);
    }
    assertThat(upstream.requests).hasSize(3);
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.requestLine()).isEqualTo("POST /v1/chat?a=1 HTTP/1.1");
    assertThat(seen.values("authorization")).containsExactly("Bearer " + TestGateway.KEY);
    assertThat(seen.values("host")).containsExactly(authority());
    assertThat(seen.head()).doesNotContain("good", "mine");
    assertThat(gateway.records)
        .extracting(record -> record.outcome() + record.details().get("way"))
        .containsExactlyInAnyOrder("grantedintercept", "refusedintercept");
    await().until(() -> gateway.live.size() == 0);
  }

  private String get(String path) {
    return "GET " + path + " HTTP/1.1\r\nHost: " + authority() + "\r\n\r\n";
  }

  @Test
  void certificate_isForTheHostAndADay_belowAConstrainedAuthorityOfThirtyDays() throws Exception {
    try (TestTunnel tunnel = tunnel("good")) {
      var shown = tunnel.tls().getSession().getPeerCertificates();
      var leaf = (X509Certificate) shown[0];
      var own = (X509Certificate) shown[1];
      assertThat(shown).hasSize(2);
      assertThat(leaf.getSubjectAlternativeNames()).containsExactly(List.of(2, HOST));
      assertThat(leaf.getPublicKey().getAlgorithm()).isEqualTo("EC");
      assertThat(leaf.getBasicConstraints()).isEqualTo(-1);
      assertThat(leaf.getNotAfter().toInstant())
          .isBefore(Instant.now().plus(Duration.ofHours(24).plusSeconds(5)));
      assertThat(own.getBasicConstraints()).isZero();
      assertThat(own.getExtensionValue("2.5.29.30")).isNotNull();
      assertThat(own.getNotAfter().toInstant())
          .isBefore(Instant.now().plus(Duration.ofDays(30).plusSeconds(5)));
    }
    // One host, one certificate.
    assertThat(gateway.certificates.size()).isEqualTo(1);
  }

  @Test
  void token_isVerifiedAgainForEachRequest() throws Exception {
    try (TestTunnel tunnel = tunnel("good-turns")) {
      assertThat(tunnel.send(get("/v1/a")).read().status()).isEqualTo(200);
      gateway.ended.add("good-turns");
      TestHttp.Answer answer = tunnel.send(get("/v1/a")).read();
      assertThat(answer.status()).isEqualTo(401);
      assertThat(answer.header("valetkey-error")).isEqualTo("invalid_token");
    }
    assertThat(upstream.requests).hasSize(1);
  }

  @Test
  void stop_cutsTunnelsAndWhatGoesOnInThem() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
          Thread.sleep(20_000);
        };
    try (TestTunnel busy = tunnel("good-1");
        TestTunnel idle = tunnel("good-2")) {
      busy.send(get("/v1/a"));
      assertThat(busy.read(true).status()).isEqualTo(200);
      assertThat(TestHttp.chunk(busy.in())).isEqualTo("x");

      gateway.stopped = true;
      assertThat(gateway.live.cut(exchange -> true)).isEqualTo(3);

      assertThatThrownBy(() -> TestHttp.chunk(busy.in())).isInstanceOf(IOException.class);
      assertThatThrownBy(() -> idle.send(get("/v1/a")).read()).isInstanceOf(IOException.class);
    }
    await()
        .untilAsserted(() ->
            assertThat(gateway.records)
                .filteredOn(record -> record.code() == ProblemCode.STOPPED)
                .singleElement()
                .satisfies(
                    record -> assertThat(record.details()).containsEntry("way", "intercept")));
    assertThat(gateway.live.size()).isZero();
  }

  @Test
  void stop_beforeTheHandshake_closesWithoutAnAnswerInTheTunnel() throws Exception {
    try (TestHttp caller = connected()) {
      assertThat(gateway.live.cut(exchange -> true)).isEqualTo(1);
      assertThat(caller.isClosed()).isTrue();
    }
    await()
        .untilAsserted(() ->
            assertThat(gateway.records)
                .singleElement()
                .extracting(TestGateway.Written::code)
                .isEqualTo(ProblemCode.STOPPED));
    nothingHappened();
  }

  private String connect(String target, String fields) {
    return "CONNECT " + target + " HTTP/1.1\r\n" + fields + "\r\n";
  }

  private static String bearer(String token) {
    return "Proxy-Authorization: Bearer " + token + "\r\n";
  }

  @TestFactory
  List<DynamicTest> connect_whenItIsNotTheTokensOrigin_isAnUnknownDestination() {
    return List.of(
            "other.test:443",
            "upstream.test:443",
            "upstream.test:22",
            "UPSTREAM.test:PORT",
            "upstream.test.:PORT",
            "127.0.0.1:PORT",
            "[::1]:PORT",
            "169.254.169.254:80",
            "2130706433:PORT",
            "xn--upstream-9za.test:PORT",
            "localhost:PORT")
        .stream()
        .map(target ->
            DynamicTest.dynamicTest(
                target,
                () -> {
                  String at = target.replace("PORT", String.valueOf(upstream.port()));
                  refused(connect(at, "Host: " + at + "\r\n" + bearer("good")), 404, "not_found");
                }))
        .toList();
  }

  @TestFactory
  List<DynamicTest> connect_whenTheTokenIsBad_isChallenged() {
    String pair = Base64.getEncoder().encodeToString("u:nonsense".getBytes(StandardCharsets.UTF_8));
    return List.of(
            "",
            bearer("expired"),
            bearer("nonsense"),
            bearer("good-bound"),
            "Proxy-Authorization: Basic " + pair + "\r\n",
            "Authorization: Bearer good\r\n")
        .stream()
        .map(fields ->
            DynamicTest.dynamicTest(
                "<" + fields.strip() + ">",
                () -> {
                  String bytes = connect(authority(), "Host: " + authority() + "\r\n" + fields);
                  refused(bytes, 407, "proxy_unauthorized");
                  refused(
                      connect("other.test:443", "Host: other.test:443\r\n" + fields),
                      407,
                      "proxy_unauthorized");
                }))
        .toList();
  }

  @TestFactory
  List<DynamicTest> connect_whenItHasTwoMeanings_isRefused() {
    String at = "upstream.test:PORT";
    String host = "Host: " + at + "\r\n" + bearer("good");
    return List.of(
            connect("user@" + at, host),
            connect("user:pw@" + at, host),
            connect("https://" + at, host),
            connect("/d/up", host),
            connect("upstream.test", "Host: upstream.test\r\n" + bearer("good")),
            connect("upstream.test:0", host),
            connect("upstream.test:99999", host),
            connect("upstream.test:0PORT", host),
            connect("\u00fcpstream.test:PORT", host),
            connect("up_stream.test:PORT", host),
            connect(at, bearer("good")),
            connect(at, "Host: other.test\r\n" + bearer("good")),
            connect(at, host + "Host: " + at + "\r\n"),
            connect(at, host + "Content-Length: 5\r\n"),
            connect(at, host + "Transfer-Encoding: chunked\r\n"),
            connect(at, host + "Expect: 100-continue\r\n"),
            connect(at, host + "X_A: 1\r\n"),
            connect(at, host + "X-A: 1\r\n b\r\n"),
            connect(at, host + "X-A: 1\nX-B: 1\r\n"),
            connect(at, host + "X-A: 1\rb\r\n"),
            connect(at, host + "X-A: \u0000\r\n"),
            connect(at, host + "X-A : 1\r\n"),
            connect(at, host + ": 1\r\n"),
            connect(at, host + "nothing\r\n"),
            connect(at, host).replace(" HTTP", "  HTTP"),
            connect(at, host).replace("HTTP/1.1", "HTTP/2.0"),
            // Smuggled behind the head, before the answer.
            connect(at, host) + "GET /v1/a HTTP/1.1\r\n\r\n",
            connect(at, host) + "\u0016\u0003\u0001")
        .stream()
        .map(bytes ->
            DynamicTest.dynamicTest(
                "<" + bytes.replaceAll("[^ -~]", ".") + ">",
                () ->
                    refused(
                        bytes.replace("PORT", String.valueOf(upstream.port())),
                        400,
                        "invalid_request")))
        .toList();
  }

  @Test
  void connect_withTwoTokensOrTooLong_isRefused() throws Exception {
    String host = "Host: " + authority() + "\r\n";
    refused(connect(authority(), host + bearer("good") + bearer("good")), 400, "several_tokens");
    refused(connect(authority(), host + "X-A: " + "a".repeat(40_000)), 431, "headers_too_large");
  }

  @Test
  void connect_inHttp10_needsNoHost() throws Exception {
    try (TestHttp caller = gateway.proxyCaller()) {
      caller.send("CONNECT " + authority() + " HTTP/1.0\r\n" + bearer("good") + "\r\n");
      assertThat(caller.read(true).status()).isEqualTo(200);
    }
  }

  private void refused(String bytes, int status, String code) throws Exception {
    int before = gateway.records.size();
    try (TestHttp caller = gateway.proxyCaller()) {
      TestHttp.Answer answer = caller.send(bytes).read();
      assertThat(answer.status()).isEqualTo(status);
      assertThat(answer.header("valetkey-error")).isEqualTo(code);
      assertThat(answer.header("connection")).isEqualTo("close");
      assertThat(caller.isClosed()).isTrue();
    }
    await().until(() -> gateway.records.size() > before);
    nothingHappened();
    assertThat(gateway.certificates.size()).isZero();
  }

  private void nothingHappened() {
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.lookups).hasValue(0);
    assertThat(gateway.fetches).hasValue(0);
    await().until(() -> gateway.live.size() == 0);
  }

  private TestHttp connected() throws Exception {
    TestHttp caller = gateway.proxyCaller();
    caller.send(connect(authority(), "Host: " + authority() + "\r\n" + bearer("good")));
    assertThat(caller.read(true).status()).isEqualTo(200);
    return caller;
  }

  /** What is no ClientHello for the host ends the tunnel, and is on record. */
  @TestFactory
  List<DynamicTest> bytes_whenTheyAreNoTls_endTheTunnel() {
    return List.of(
            "GET /v1/a HTTP/1.1\r\nHost: upstream.test\r\n\r\n",
            "SSH-2.0-x\r\n",
            "\u0016\u0003\u0001\u0000\u0000",
            "\u0016\u0003\u0009\u0000\u0005aaaaa",
            "\u0016\u0003\u0001\u0000\u0004\u0002\u0000\u0000\u0000",
            "\u0016\u0003\u0001\u0000\u0004\u0001\u0000\u0000\u0000",
            "\u0016\u0003\u0001\u0000\u0004\u0001\u00ff\u00ff\u00ff",
            "\u0080\u002e\u0001\u0003\u0001")
        .stream()
        .map(bytes ->
            DynamicTest.dynamicTest(
                bytes.replaceAll("[^ -~]", "."),
                () -> {
                  int before = gateway.records.size();
                  try (TestHttp caller = connected()) {
                    caller.send(bytes);
                    assertThat(caller.isClosed()).isTrue();
                  }
                  await().until(() -> gateway.records.size() > before);
                  nothingHappened();
                }))
        .toList();
  }

  @Test
  void clientHello_thatDoesNotEnd_isGivenUp() throws Exception {
    try (TestHttp caller = connected()) {
      caller.send("\u0016\u0003\u0001\u0001\u0000\u0001\u0000\u0000\u00fc");
      assertThat(caller.isClosed()).isTrue();
    }
    await().until(() -> !gateway.records.isEmpty());
    nothingHappened();
  }

  private void handshakeFails(Set<String> seen, String name, String... settings) throws Exception {
    try (TestHttp caller = connected()) {
      SSLSocket tls = TestTunnel.over(caller.socket, gateway, name);
      SSLParameters parameters = tls.getSSLParameters();
      if (settings.length > 0 && settings[0].startsWith("TLS")) {
        parameters.setProtocols(settings);
      } else if (settings.length > 0) {
        parameters.setApplicationProtocols(settings);
      }
      tls.setSSLParameters(parameters);
      assertThatThrownBy(tls::startHandshake).isInstanceOf(IOException.class);
      seen.add(String.valueOf(name));
    }
  }

  @Test
  void handshake_withAnotherNameNoNameOldTlsOrOtherProtocols_fails() throws Exception {
    Set<String> seen = new HashSet<>();
    handshakeFails(seen, "other.test");
    handshakeFails(seen, "x.upstream.test");
    handshakeFails(seen, null);
    handshakeFails(seen, HOST, "h2c");
    handshakeFails(seen, HOST, "spdy/3", "http/1.0");
    await().until(() -> gateway.records.size() == 5);
    assertThat(gateway.records)
        .allSatisfy(record -> assertThat(record.code()).isEqualTo(ProblemCode.INVALID_REQUEST));
    nothingHappened();
    assertThat(gateway.certificates.size()).isEqualTo(1);
  }

  /** TLS 1.1 as a program of another time would say hello; Java's own client refuses to. */
  @Test
  void handshake_ofTls11_fails() throws Exception {
    byte[] name = HOST.getBytes(StandardCharsets.US_ASCII);
    int size = name.length;
    StringBuilder body = new StringBuilder("\u0003\u0002" + "r".repeat(32) + "\u0000");
    body.append("\u0000\u0002\u00c0\u0009\u0001\u0000");
    body.append((char) 0).append((char) (size + 9)).append("\u0000\u0000");
    body.append((char) 0).append((char) (size + 5)).append((char) 0).append((char) (size + 3));
    body.append("\u0000").append((char) 0).append((char) size).append(HOST);
    String message = "\u0001\u0000\u0000" + (char) body.length() + body;
    try (TestHttp caller = connected()) {
      caller.send("\u0016\u0003\u0001\u0000" + (char) message.length() + message);
      assertThat(caller.isClosed()).isTrue();
    }
    nothingHappened();
  }

  @Test
  void manyNames_mintNothing() throws Exception {
    for (int i = 0; i < 1_000; i++) {
      String bytes =
          connect("h" + i + ".test:443", "Host: h" + i + ".test:443\r\n" + bearer("good"));
      try (TestHttp caller = gateway.proxyCaller()) {
        assertThat(caller.send(bytes).read(true).status()).isEqualTo(404);
      }
    }
    assertThat(gateway.certificates.size()).isZero();
    nothingHappened();
  }

  @Test
  void requestsInside_ofAnotherHostOrForm_areRefusedAndEndTheTunnel() throws Exception {
    String good = "Host: " + authority() + "\r\n";
    for (String bytes :
        List.of(
            "GET /v1/a HTTP/1.1\r\nHost: other.test\r\n\r\n",
            "GET /v1/a HTTP/1.1\r\nHost: upstream.test\r\n\r\n",
            "GET /v1/a HTTP/1.1\r\nHost: UPSTREAM.test:" + upstream.port() + "\r\n\r\n",
            "GET /v1/a HTTP/1.1\r\n\r\n",
            "GET https://" + authority() + "/v1/a HTTP/1.1\r\n" + good + "\r\n",
            "CONNECT " + authority() + " HTTP/1.1\r\n" + good + bearer("good") + "\r\n",
            "GET /v1/../a HTTP/1.1\r\n" + good + "\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) {
      try (TestTunnel tunnel = tunnel("good")) {
        assertThat(tunnel.send(bytes).read().status()).isEqualTo(400);
        assertThat(tunnel.isClosed()).isTrue();
      }
    }
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void name_thatFlipsToAnAddressThatIsNotAllowed_isNotConnectedTo() throws Exception {
    try (TestTunnel tunnel = tunnel("good")) {
      assertThat(tunnel.send(get("/v1/a")).read().status()).isEqualTo(200);
      gateway.address = "169.254.169.254";
      TestHttp.Answer answer = tunnel.send(get("/v1/a")).read();
      assertThat(answer.status()).isEqualTo(502);
      assertThat(answer.header("valetkey-error")).isEqualTo("upstream_address_refused");
    }
    assertThat(upstream.requests).hasSize(1);
  }
}
