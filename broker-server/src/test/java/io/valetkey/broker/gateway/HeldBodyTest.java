package io.valetkey.broker.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.Signing;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CredentialFields;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Bodies that are held because a signature depends on all of them; there is room for 4 MiB. */
@Timeout(60)
class HeldBodyTest {

  private static final TestCertificates CERTIFICATES = new TestCertificates();
  private static final int BODY = 500_000;

  private TestUpstream upstream;
  private TestGateway gateway;

  @BeforeEach
  void start() throws Exception {
    upstream =
        new TestUpstream(
            CERTIFICATES.valid("upstream.test"),
            (request, out) -> TestUpstream.ok(out, String.valueOf(request.text().length())));
    gateway = new TestGateway(upstream.port(), CERTIFICATES.trust());
    gateway.injection = Destination.Injection.by(new Signing.AwsSigV4("execute-api", "eu-west-1"));
    gateway.fields =
        CredentialFields.of(
            Map.of(
                "access_key_id", SecretValue.of("AKIAIOSFODNN7EXAMPLE"),
                "secret_access_key", SecretValue.of("canary-secret-access-key")));
  }

  @AfterEach
  void stop() throws Exception {
    gateway.close();
    upstream.close();
  }

  @Test
  void read_whenAllBodiesTogetherAreTooMuch_refusesMore_untilOneHasEnded() throws Exception {
    List<TestHttp> open = new ArrayList<>();
    try {
      for (int i = 0; i < 8; i++) {
        open.add(gateway.caller().send(head() + "x".repeat(BODY - 1)));
      }
      await().until(() -> gateway.live.heldBytes() == 8 * (BODY - 1));
      TestHttp.Answer refused = whole();
      assertThat(refused.status()).isEqualTo(503);
      assertThat(refused.body()).contains("temporarily_unavailable");
      assertThat(upstream.requests).isEmpty();

      TestHttp.Answer served = open.getFirst().send("x").read();
      assertThat(served.status()).isEqualTo(200);
      assertThat(served.body()).isEqualTo(String.valueOf(BODY));
      open.get(1).close(); // and one that is abandoned
      await().until(() -> gateway.live.heldBytes() == 6 * (BODY - 1));
      assertThat(whole().status()).isEqualTo(200);
      assertThat(whole().status()).isEqualTo(200);
    } finally {
      for (TestHttp caller : open) {
        caller.close();
      }
    }
  }

  private TestHttp.Answer whole() throws Exception {
    try (TestHttp caller = gateway.caller()) {
      return caller.send(head() + "x".repeat(BODY)).read();
    }
  }

  private static String head() {
    return "POST /d/up/v1/a HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer good\r\nContent-Length: "
        + BODY
        + "\r\n\r\n";
  }
}
