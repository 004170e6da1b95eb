package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.problem.ProblemCode;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The forward proxy's port with whole URLs as targets. Invariants: G2, G3, G15, G16. */
@Timeout(60)
class AbsoluteFormTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"),
            (request, out) -> TestUpstream.ok(out, "<" + request.text() + ">"));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private String authority() {
    return "upstream.test:" + upstream.port();
  }

  private String get(String target, String fields) {
    return "GET " + target + " HTTP/1.1\r\nHost: " + authority() + "\r\n" + fields + "\r\n";
  }

  private static String basic(String userAndPassword) {
    return "Proxy-Authorization: Basic "
        + Base64.getEncoder().encodeToString(userAndPassword.getBytes(StandardCharsets.UTF_8))
        + "\r\n";
  }

  private TestHttp.Answer ask(String bytes) throws Exception {
    try (TestHttp caller = gateway.proxyCaller()) {
      return caller.send(bytes).read();
    }
  }

  @Test
  void request_whenAllowed_carriesTheCredentialAndNothingOfTheCallers() throws Exception {
    TestHttp.Answer answer =
        ask(
            get(
                "https://" + authority() + "/v1/a?key=mine&b=%41",
                "Proxy-Authorization: Bearer good\r\nProxy-Connection: keep-alive\r\n"
                    + "Authorization: Bearer sk-of-the-caller\r\nx-api-key: mine\r\n"
                    + "Cookie: c\r\nX-Keep: 1\r\n"));
    assertThat(answer.status()).isEqualTo(200);
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.requestLine()).isEqualTo("GET /v1/a?b=%41 HTTP/1.1");
    assertThat(seen.values("authorization")).containsExactly("Bearer " + TestGateway.KEY);
    assertThat(seen.values("x-keep")).containsExactly("1");
    assertThat(seen.head()).doesNotContain("good", "mine", "sk-of", "Proxy-", "Cookie");
    assertThat(gateway.records)
        .singleElement()
        .satisfies(record ->
            assertThat(record.details())
                .containsEntry("way", "absolute-form")
                .containsEntry("destination", "up")
                .containsEntry("path", "/v1/a"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"user:good", ":good", "valetkey:good"})
  void token_asThePasswordOfBasic_isTaken(String pair) throws Exception {
    assertThat(ask(get("https://" + authority() + "/v1/a", basic(pair))).status()).isEqualTo(200);
  }

  @TestFactory
  List<DynamicTest> token_whenMissingOrBad_isAnsweredInTheSameWords() {
    return List.of(
            "",
            "Proxy-Authorization: Bearer expired\r\n",
            "Proxy-Authorization: Bearer nonsense\r\n",
            "Proxy-Authorization: Bearer \r\n",
            "Proxy-Authorization: Digest good\r\n",
            "Proxy-Authorization: token\r\n",
            "Proxy-Authorization: token good\r\n",
            "Proxy-Authorization: DPoP good-bound\r\nDPoP: proof\r\n",
            "Proxy-Authorization: Bearer good-bound\r\nDPoP: proof\r\n",
            basic("good"),
            basic("good:"),
            basic("user:expired"),
            // Our token where the upstream's key would be is no token for the proxy.
            "Authorization: Bearer good\r\n",
            "Valetkey-Token: good\r\n")
        .stream()
        .map(
            fields -> DynamicTest.dynamicTest("<" + fields.strip() + ">", () -> challenged(fields)))
        .toList();
  }

  private void challenged(String fields) throws Exception {
    TestHttp.Answer own = ask(get("https://" + authority() + "/v1/a", fields));
    TestHttp.Answer other =
        ask("GET https://other.test/v1/a HTTP/1.1\r\nHost: other.test\r\n" + fields + "\r\n");
    for (TestHttp.Answer answer : List.of(own, other)) {
      assertThat(answer.status()).isEqualTo(407);
      assertThat(answer.head().lines().filter(line -> line.startsWith("Proxy-Authenticate")))
          .containsExactly(
              "Proxy-Authenticate: Basic realm=\"valetkey\"",
              "Proxy-Authenticate: Bearer realm=\"valetkey\"");
      assertThat(answer.header("valetkey-error")).isEqualTo("proxy_unauthorized");
      assertThat(answer.header("www-authenticate")).isNull();
    }
    assertThat(withoutId(own)).isEqualTo(withoutId(other));
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.lookups).hasValue(0);
  }

  private static String withoutId(TestHttp.Answer answer) {
    return answer.head() + answer.body().replaceAll("\"decision_id\":\"[^\"]+\"", "");
  }

  @Test
  void webSocket_opensNotHere() throws Exception {
    TestHttp.Answer answer =
        ask(
            get(
                "https://" + authority() + "/v1/live/x",
                "Proxy-Authorization: Bearer good\r\nUpgrade: websocket\r\n"
                    + "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: "
                    + TestWebSocket.KEY
                    + "\r\n"));
    assertThat(answer.status()).isEqualTo(400);
    assertThat(upstream.requests).isEmpty();
    assertThat(gateway.records.getLast().code()).isEqualTo(ProblemCode.INVALID_REQUEST);
  }

  @Test
  void severalTokens_areRefused() throws Exception {
    String twice = "Proxy-Authorization: Bearer good\r\n" + basic("u:good");
    TestHttp.Answer answer = ask(get("https://" + authority() + "/v1/a", twice));
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.header("valetkey-error")).isEqualTo("several_tokens");
  }

  /** Whatever is not exactly the origin of the token's destination does not exist. */
  @TestFactory
  List<DynamicTest> origin_whenItIsAnother_doesNotExist() {
    return List.of(
            "https://other.test",
            "https://UPSTREAM.test:PORT",
            "https://upstream.test.:PORT",
            "https://upstream.test",
            "https://upstream.test:443",
            "https://127.0.0.1:PORT",
            "https://[::1]:PORT",
            "http://upstream.test:PORT",
            "http://upstream.test",
            "https://xupstream.test:PORT",
            "https://x.upstream.test:PORT")
        .stream()
        .map(origin ->
            DynamicTest.dynamicTest(
                origin, () -> unknown(origin.replace("PORT", String.valueOf(upstream.port())))))
        .toList();
  }

  private void unknown(String origin) throws Exception {
    String host = origin.substring(origin.indexOf("//") + 2);
    TestHttp.Answer answer =
        ask(
            "GET "
                + origin
                + "/v1/a HTTP/1.1\r\nHost: "
                + host
                + "\r\nProxy-Authorization: Bearer good\r\n\r\n");
    assertThat(answer.status()).isEqualTo(404);
    assertThat(answer.header("valetkey-error")).isEqualTo("not_found");
    assertThat(gateway.lookups).hasValue(0);
    assertThat(gateway.records.getLast().code()).isEqualTo(ProblemCode.DESTINATION_UNKNOWN);
    // The same bytes as for the token of a destination that is not there.
    TestHttp.Answer stranger =
        ask(get("https://" + authority() + "/v1/a", "Proxy-Authorization: Bearer good-other\r\n"));
    assertThat(withoutId(answer)).isEqualTo(withoutId(stranger));
  }

  @TestFactory
  List<DynamicTest> target_whenItHasTwoMeanings_isRefused() {
    return List.of(
            "/d/up/v1/a",
            "/v1/a",
            "*",
            "upstream.test:PORT",
            "ftp://upstream.test:PORT/v1/a",
            "HTTPS://upstream.test:PORT/v1/a",
            "https:/upstream.test:PORT/v1/a",
            "https:///v1/a",
            "https://user@upstream.test:PORT/v1/a",
            "https://user:pw@upstream.test:PORT/v1/a",
            "https://upstream.test:0PORT/v1/a",
            "https://upstream.test:/v1/a",
            "https://upstream.test:65536/v1/a",
            "https://up_stream.test:PORT/v1/a",
            "https://other.test:PORT/v1/a",
            "https://upstream.test:PORT\\v1/a",
            "https://upstream.test:PORT/v1/../v1/a",
            "https://upstream.test:PORT//v1/a",
            "https://upstream.test:PORT/v1/%2e%2e/a",
            "https://upstream.test:PORT/v1%2fa",
            "https://upstream.test:PORT/v1/a#f",
            "https://upstream.test:PORT#f",
            "https://upstream.test:PORT/v1/a?x#f")
        .stream()
        .map(target -> DynamicTest.dynamicTest(target, () -> refused(target)))
        .toList();
  }

  private void refused(String target) throws Exception {
    String bytes =
        get(
            target.replace("PORT", String.valueOf(upstream.port())),
            "Proxy-Authorization: Bearer good\r\n");
    try (TestHttp caller = gateway.proxyCaller()) {
      assertThat(caller.send(bytes).read().status()).isEqualTo(400);
      assertThat(caller.isClosed()).isTrue();
    }
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void answer_pointsWhereTheUpstreamPoints() throws Exception {
    String next = "https://" + authority() + "/v1/next";
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out, "HTTP/1.1 302 Found\r\nLocation: " + next + "\r\nContent-Length: 0\r\n\r\n");
    TestHttp.Answer answer =
        ask(get("https://" + authority() + "/v1/a", "Proxy-Authorization: Bearer good\r\n"));
    assertThat(answer.header("location")).isEqualTo(next);
  }

  @Test
  void baseUrlPort_isNoProxy() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      String bytes =
          get("https://" + authority() + "/v1/a", "Proxy-Authorization: Bearer good\r\n");
      assertThat(caller.send(bytes).read().status()).isEqualTo(400);
    }
  }
}
