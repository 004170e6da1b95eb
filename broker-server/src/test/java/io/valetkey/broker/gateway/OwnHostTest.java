package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Destinations as hosts of their own, below {@code gateway.test}. Invariants: G15, G16. */
@Timeout(60)
class OwnHostTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"), (request, out) -> TestUpstream.ok(out, "hello"));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  private TestHttp.Answer get(String host, String path, String token) throws Exception {
    try (TestHttp caller = gateway.caller()) {
      return caller
          .send(
              "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n"
                  .formatted(path, host, token))
          .read();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"up.gateway.test", "UP.Gateway.TEST", "up.gateway.test:443"})
  void host_ofADestination_isThatDestination(String host) throws Exception {
    assertThat(get(host, "/v1/a?x=1", "good").body()).isEqualTo("hello");
    assertThat(upstream.requests.getFirst().requestLine()).isEqualTo("GET /v1/a?x=1 HTTP/1.1");
    await().until(() -> !gateway.records.isEmpty());
    assertThat(gateway.records.getFirst().details())
        .containsEntry("way", "host")
        .containsEntry("destination", "up");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a.up.gateway.test",
        "up.gateway.test.",
        "up.gateway.test:8443",
        "up.gateway.test:80",
        "up.gateway.test:0443",
        "-up.gateway.test",
        ".gateway.test",
        "..gateway.test",
      })
  void host_belowTheSuffix_butNotADestinations_isRefused(String host) throws Exception {
    for (String path : List.of("/v1/a", "/d/up/v1/a")) {
      TestHttp.Answer answer = get(host, path, "good");
      assertThat(answer.status()).as(path).isEqualTo(400);
      assertThat(answer.header("valetkey-error")).isEqualTo("invalid_request");
    }
    assertThat(upstream.connections).hasValue(0);
    assertThat(gateway.lookups).hasValue(0);
  }

  @ParameterizedTest
  @CsvSource({
    // Without a label of its own, or not below it at all: the path says where to.
    "gateway.test, /v1/a, 404",
    "xgateway.test, /v1/a, 404",
    "gateway.test.evil.test, /v1/a, 404",
    "gateway.test, /d/up/v1/a, 200",
    "127.0.0.1:8090, /d/up/v1/a, 200",
    "[::1]:8090, /d/up/v1/a, 200",
    // There the path is the upstream's, whatever it looks like.
    "up.gateway.test, /d/up/v1/a, 403",
    "up.gateway.test, /d/other/v1/a, 403",
    // Nobody granted that.
    "other.gateway.test, /v1/a, 404",
  })
  void host_andPath_areNeverMixed(String host, String path, int status) throws Exception {
    assertThat(get(host, path, "good").status()).isEqualTo(status);
    assertThat(upstream.requests).hasSize(status == 200 ? 1 : 0);
  }

  @Test
  void token_ofAnotherDestination_isRefusedLikeByThePath() throws Exception {
    TestHttp.Answer byHost = get("up.gateway.test", "/v1/a", "good-other");
    TestHttp.Answer byPath = get("gateway.test", "/d/up/v1/a", "good-other");
    assertThat(byHost.status()).isEqualTo(byPath.status()).isEqualTo(404);
    assertThat(byHost.header("valetkey-error")).isEqualTo(byPath.header("valetkey-error"));
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void requests_ofOneConnection_mayComeByBothWays() throws Exception {
    upstream.script =
        (request, out) ->
            TestUpstream.raw(
                out,
                "HTTP/1.1 302 Found\r\nLocation: https://upstream.test:%d/v1/b\r\nContent-Length: 0\r\n\r\n"
                    .formatted(upstream.port()));
    try (TestHttp caller = gateway.caller()) {
      for (int i = 0; i < 2; i++) {
        caller.send(
            "GET /v1/a HTTP/1.1\r\nHost: up.gateway.test\r\nAuthorization: Bearer good\r\n\r\n");
        assertThat(caller.read().header("location")).isEqualTo("https://up.gateway.test/v1/b");
        caller.send(TestGateway.get("/d/up/v1/a"));
        assertThat(caller.read().header("location")).isEqualTo("https://gateway.test/d/up/v1/b");
      }
    }
  }

  @Test
  void url_hasThePortOfThePublicAddress() {
    var standard = new DestinationHosts("gw.test", "https://gw.test:443");
    assertThat(standard.url("a")).isEqualTo("https://a.gw.test");
    assertThat(standard.destination("a.gw.test:443")).isEqualTo("a");
    var other = new DestinationHosts("gw.test", "http://localhost:8090");
    assertThat(other.url("a")).isEqualTo("http://a.gw.test:8090");
    assertThat(other.destination("a.gw.test:8090")).isEqualTo("a");
    assertThat(other.destination("a.gw.test")).isNull();
    assertThat(other.destination("a.gw.test:80")).isNull();
  }
}
