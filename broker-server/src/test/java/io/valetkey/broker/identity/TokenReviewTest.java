package io.valetkey.broker.identity;

import static io.valetkey.broker.identity.TestIssuer.AUDIENCE;
import static io.valetkey.broker.identity.TestIssuer.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.identity.TrustedIssuer.Type;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Step 7 of 02-api section 2: does the cluster still vouch for the workload? */
class TokenReviewTest {

  private static final String ISS = "https://cluster.test";
  private static final String SUBJECT = "system:serviceaccount:team-a:claims-bot";
  private static final String YES =
      "{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\"audiences\":[\""
          + AUDIENCE
          + "\"],\"user\":{\"username\":\""
          + SUBJECT
          + "\"}}}";

  @TempDir Path directory;
  private final TestServer server = new TestServer();
  private final TestIssuer signer = new TestIssuer("k1");
  private final TestIssuers issuers = new TestIssuers();
  private final MovableClock clock = new MovableClock(NOW);
  private final IdentityVerifier verifier =
      new IdentityVerifier(issuers, AUDIENCE, TestIssuer.CRYPTO, address -> true, true, clock);

  TokenReviewTest() throws Exception {}

  @AfterEach
  void stop() {
    server.close();
  }

  private String token() throws Exception {
    Path bearer = directory.resolve("bearer");
    Files.writeString(bearer, "our-own");
    issuers.with(
        TestIssuers.issuer(
            Type.KUBERNETES,
            ISS,
            TestIssuers.inline(signer),
            false,
            new TrustedIssuer.Review(server.uri(""), new Tls(server.caPem, bearer)),
            true));
    return signer.token(TestIssuer.claims(ISS));
  }

  private void refused(String token, ProblemCode code) {
    assertThatThrownBy(() -> verifier.verify(token))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.code()).as(e.detail()).isEqualTo(code));
  }

  @Test
  void verify_asksWithTheTokenAndOurAudience() throws Exception {
    server.answers(201, YES);
    String token = token();
    assertThat(verifier.verify(token).subject()).isEqualTo(SUBJECT);
    Map<?, ?> spec = (Map<?, ?>) StrictJson.object(server.bodies.getFirst().getBytes()).get("spec");
    assertThat(spec.get("token")).isEqualTo(token);
    assertThat(spec.get("audiences")).isEqualTo(List.of(AUDIENCE));
    assertThat(server.authorizations).containsExactly("Bearer our-own");
  }

  @Test
  void verify_whenVouchedFor_asksAgainAfterTenSecondsAndHearsTheNo() throws Exception {
    server.answers(201, YES);
    String token = token();
    verifier.verify(token);
    clock.advance(Duration.ofSeconds(9));
    verifier.verify(token);
    assertThat(server.requests).hasValue(1);
    clock.advance(Duration.ofSeconds(1));
    verifier.verify(token);
    assertThat(server.requests).hasValue(2);
    server.answers(201, "{\"status\":{\"error\":\"pod is gone\"}}");
    clock.advance(Duration.ofSeconds(10));
    refused(token, ProblemCode.TOKEN_REVOKED);
    refused(token, ProblemCode.TOKEN_REVOKED);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "201|{\"status\":{}}|TOKEN_REVOKED",
        "201|{\"status\":{\"authenticated\":false}}|TOKEN_REVOKED",
        "201|{\"status\":{\"authenticated\":\"true\",\"audiences\":[\"https://broker.test\"]}}|TOKEN_REVOKED",
        "201|{\"status\":{\"authenticated\":true}}|AUDIENCE_MISMATCH",
        "201|{\"status\":{\"authenticated\":true,\"audiences\":[]}}|AUDIENCE_MISMATCH",
        "201|{\"status\":{\"authenticated\":true,\"audiences\":[\"https://kubernetes\"]}}|AUDIENCE_MISMATCH",
        "201|{\"status\":{\"authenticated\":true,\"audiences\":[\"https://broker.test\"],\"user\":{\"username\":\"eve\"}}}|TOKEN_REVOKED",
        "201|{}|ISSUER_UNAVAILABLE",
        "201|[]|ISSUER_UNAVAILABLE",
        "201|<html>|ISSUER_UNAVAILABLE",
        "401|{}|ISSUER_UNAVAILABLE",
        "403|{}|ISSUER_UNAVAILABLE",
        "302|{}|ISSUER_UNAVAILABLE",
        "500|{}|ISSUER_UNAVAILABLE"
      })
  void verify_whenReviewIsAnythingButAYesForUs_failsClosed(
      int status, String body, ProblemCode code) throws Exception {
    server.answers(status, body);
    refused(token(), code);
  }

  @Test
  void verify_whenApiServerIsGone_failsClosed() throws Exception {
    String token = token();
    server.close();
    refused(token, ProblemCode.ISSUER_UNAVAILABLE);
  }

  @Test
  void verify_whenApiServerIsSilent_failsClosedInTime() throws Exception {
    server.handler =
        exchange -> {
          try {
            Thread.sleep(10_000);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        };
    String token = token();
    long start = System.nanoTime();
    refused(token, ProblemCode.ISSUER_UNAVAILABLE);
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
  }

  @Test
  void verify_whenAnEarlierStepRefuses_doesNotAsk() throws Exception {
    server.answers(201, YES);
    token();
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put("aud", "else");
    refused(signer.token(claims), ProblemCode.AUDIENCE_MISMATCH);
    refused(new TestIssuer("k1").token(TestIssuer.claims(ISS)), ProblemCode.SIGNATURE_INVALID);
    assertThat(server.requests).hasValue(0);
  }
}
