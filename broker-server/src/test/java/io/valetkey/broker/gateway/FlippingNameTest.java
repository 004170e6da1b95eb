package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.problem.ProblemCode;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A name whose answers change, by every way in. Promise: P8. */
@Timeout(60)
class FlippingNameTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"), (request, out) -> TestUpstream.ok(out, "served"));
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

  private TestHttp.Answer byBaseUrl() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      return caller.send(TestGateway.get("/d/up/v1/a")).read();
    }
  }

  private TestHttp.Answer byAbsoluteForm() throws Exception {
    try (TestHttp caller = gateway.proxyCaller()) {
      return caller
          .send(
              "GET https://%s/v1/a HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer good\r\n\r\n"
                  .formatted(authority(), authority()))
          .read();
    }
  }

  private TestHttp.Answer inATunnel() throws Exception {
    try (TestTunnel tunnel = TestTunnel.open(gateway, authority(), "good")) {
      return tunnel.send("GET /v1/a HTTP/1.1\r\nHost: " + authority() + "\r\n\r\n").read();
    }
  }

  private TestHttp.Answer byATunnelThatLeadsOn() throws Exception {
    gateway.kind = DestinationKind.TUNNEL;
    try (TestHttp caller = gateway.proxyCaller()) {
      return caller
          .send(
              "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer good\r\n\r\n"
                  .formatted(authority(), authority()))
          .read(true);
    } finally {
      gateway.kind = DestinationKind.HTTP;
    }
  }

  /** An idle connection to where the name led before is not taken either. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "::1",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1"
      })
  void name_thatHasFlipped_getsNothing(String flipped) throws Exception {
    assertThat(byBaseUrl().body()).isEqualTo("served");
    int fetched = gateway.fetches.get();
    gateway.address = flipped;
    for (TestHttp.Answer answer :
        List.of(byBaseUrl(), byAbsoluteForm(), inATunnel(), byATunnelThatLeadsOn())) {
      assertThat(answer.status()).isEqualTo(502);
      assertThat(answer.header("valetkey-error"))
          .isEqualTo(ProblemCode.UPSTREAM_ADDRESS_REFUSED.code());
    }
    assertThat(upstream.requests).hasSize(1);
    assertThat(upstream.connections).hasValue(1);
    assertThat(gateway.fetches).hasValue(fetched);
  }

  @Test
  void name_thatFlipsBetweenCheckAndConnect_isConnectedToWhereItWasChecked() throws Exception {
    gateway.addressAfterwards = "169.254.169.254";
    assertThat(byBaseUrl().body()).isEqualTo("served");
    assertThat(gateway.lookups).hasValue(1);
    assertThat(byBaseUrl().header("valetkey-error"))
        .isEqualTo(ProblemCode.UPSTREAM_ADDRESS_REFUSED.code());
    assertThat(upstream.requests).hasSize(1);
  }

  @Test
  void name_thatFlipsBeforeATunnelConnects_isConnectedToWhereItWasChecked() throws Exception {
    gateway.addressAfterwards = "169.254.169.254";
    assertThat(byATunnelThatLeadsOn().status()).isEqualTo(200);
    assertThat(gateway.lookups).hasValue(1);
    await().until(() -> upstream.connections.get() == 1);
    assertThat(byATunnelThatLeadsOn().status()).isEqualTo(502);
  }
}
