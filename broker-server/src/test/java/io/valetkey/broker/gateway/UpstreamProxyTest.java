package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.TinyProxy;
import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.realparts.NeedsPrograms;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Destinations behind a real proxy that wants a password. */
@NeedsPrograms("tinyproxy")
@Timeout(60)
class UpstreamProxyTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  @TempDir Path folder;
  private TinyProxy proxy;
  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    proxy = new TinyProxy(folder);
    upstream = upstream("localhost");
  }

  @AfterEach
  void stop() throws Exception {
    if (gateway != null) {
      gateway.close();
    }
    upstream.close();
    proxy.close();
  }

  private static TestUpstream upstream(String certificate) throws Exception {
    return new TestUpstream(
        CERTIFICATES.valid(certificate), (request, out) -> TestUpstream.ok(out, "served"));
  }

  private void gateway(String host, String password, List<String> except) throws Exception {
    var through =
        new UpstreamProxy(
            "127.0.0.1", proxy.port(), TinyProxy.USER, SecretValue.of(password), except);
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust(), through);
    gateway.host = host;
  }

  private TestHttp.Answer ask(String host, String password, List<String> except) throws Exception {
    gateway(host, password, except);
    try (TestHttp caller = gateway.caller()) {
      return caller.send(TestGateway.get("/d/up/v1/a")).read(false);
    }
  }

  @Test
  void request_goesThroughTheProxyByName_withTlsToTheDestination() throws Exception {
    TestHttp.Answer answer = ask("localhost", TinyProxy.PASSWORD, List.of());
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo("served");
    TestUpstream.Received seen = upstream.requests.getFirst();
    assertThat(seen.values("Authorization")).containsExactly("Bearer " + TestGateway.KEY);
    assertThat(seen.head()).doesNotContainIgnoringCase("proxy").doesNotContain(TinyProxy.PASSWORD);
    assertThat(proxy.log())
        .contains("CONNECT localhost:" + upstream.port())
        .doesNotContain("/v1/a");
    // The address was looked up for the proxy alone, which the test gives as a literal.
    assertThat(gateway.lookups).hasValue(1);
  }

  @Test
  void requests_ofOneAgent_shareATunnel() throws Exception {
    ask("localhost", TinyProxy.PASSWORD, List.of());
    try (TestHttp caller = gateway.caller()) {
      assertThat(caller.send(TestGateway.get("/d/up/v1/b")).read(false).status()).isEqualTo(200);
    }
    assertThat(upstream.requests).hasSize(2);
  }

  @Test
  void password_thatIsWrong_sendsNothing() throws Exception {
    TestHttp.Answer answer = ask("localhost", "wrong", List.of());
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.header("valetkey-error")).isEqualTo(ProblemCode.UPSTREAM_UNREACHABLE.code());
    assertThat(answer.body()).doesNotContain("wrong");
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void certificate_ofAnotherName_getsNothing() throws Exception {
    upstream.close();
    upstream = upstream("other.test");
    TestHttp.Answer answer = ask("localhost", TinyProxy.PASSWORD, List.of());
    assertThat(answer.header("valetkey-error")).isEqualTo(ProblemCode.UPSTREAM_CERTIFICATE.code());
    assertThat(proxy.log()).contains("CONNECT localhost:" + upstream.port());
    assertThat(upstream.requests).isEmpty();
  }

  @Test
  void proxy_thatIsAway_isNotGoneRound() throws Exception {
    proxy.close();
    TestHttp.Answer answer = ask("localhost", TinyProxy.PASSWORD, List.of());
    assertThat(answer.header("valetkey-error")).isEqualTo(ProblemCode.UPSTREAM_UNREACHABLE.code());
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void exception_isReachedStraight() throws Exception {
    TestHttp.Answer answer = ask("localhost", TinyProxy.PASSWORD, List.of("localhost"));
    assertThat(answer.status()).isEqualTo(200);
    assertThat(proxy.log()).doesNotContain("CONNECT localhost", "CONNECT 169");
  }

  /** A name is the proxy's to look up; an address is ours to refuse. */
  @Test
  void address_thatIsNotAllowed_isNotAskedOfTheProxy() throws Exception {
    TestHttp.Answer answer = ask("169.254.169.254", TinyProxy.PASSWORD, List.of());
    assertThat(answer.header("valetkey-error"))
        .isEqualTo(ProblemCode.UPSTREAM_ADDRESS_REFUSED.code());
    assertThat(proxy.log()).doesNotContain("CONNECT localhost", "CONNECT 169");
  }

  private TestHttp.Answer connect(String host, String password) throws Exception {
    gateway(host, password, List.of());
    gateway.kind = DestinationKind.TUNNEL;
    try (TestHttp caller = gateway.proxyCaller()) {
      String at = host + ":" + upstream.port();
      String bytes = "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer good\r\n\r\n";
      return caller.send(bytes.formatted(at, at)).read(true);
    }
  }

  @Test
  void tunnel_leadsThroughTheProxyToTheDestination() throws Exception {
    gateway("localhost", TinyProxy.PASSWORD, List.of());
    gateway.kind = DestinationKind.TUNNEL;
    try (TestTunnel tunnel =
        TestTunnel.dial(gateway, "localhost:" + upstream.port(), "good", CERTIFICATES.trusting())) {
      assertThat(tunnel.send("GET /any HTTP/1.1\r\nHost: a\r\n\r\n").read().body())
          .isEqualTo("served");
      assertThat(gateway.live.cut(exchange -> true)).isOne();
      await().until(() -> gateway.live.size() == 0 && upstream.closedByPeer.get() == 1);
    }
    assertThat(proxy.log()).contains("CONNECT localhost:" + upstream.port());
    assertThat(gateway.lookups).hasValue(1);
  }

  @Test
  void tunnel_thatTheProxyRefuses_isNotOpened() throws Exception {
    TestHttp.Answer answer = connect("localhost", "wrong");
    assertThat(answer.status()).isEqualTo(502);
    assertThat(answer.header("valetkey-error")).isEqualTo(ProblemCode.UPSTREAM_UNREACHABLE.code());
    assertThat(upstream.connections).hasValue(0);
  }

  @Test
  void stop_cutsAStreamThroughTheProxy() throws Exception {
    upstream.script =
        (request, out) -> {
          TestUpstream.raw(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
          while (true) {
            TestUpstream.raw(out, "data: 1\n\n");
            Thread.sleep(20);
          }
        };
    gateway("localhost", TinyProxy.PASSWORD, List.of());
    try (TestHttp caller = gateway.caller()) {
      caller.send(TestGateway.get("/d/up/v1/a"));
      TestHttp.head(caller.in);
      assertThat(gateway.live.cut(exchange -> true)).isOne();
      await().until(() -> gateway.live.size() == 0 && upstream.closedByPeer.get() == 1);
    }
  }
}
