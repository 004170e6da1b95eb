package io.valetkey.broker.identity;

import static io.valetkey.broker.identity.TestIssuer.AUDIENCE;
import static io.valetkey.broker.identity.TestIssuer.NOW;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.identity.TrustedIssuer.Type;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Steps 2 to 5 of 02-api section 2, and their order. */
class IdentityVerifierTest {

  private static final String ISS = "https://cluster.test";

  private final TestIssuer signer = new TestIssuer("k1");
  private final TestIssuers issuers = new TestIssuers();
  private final MovableClock clock = new MovableClock(NOW);
  private final IdentityVerifier verifier =
      new IdentityVerifier(issuers, AUDIENCE, TestIssuer.CRYPTO, address -> true, true, clock);

  IdentityVerifierTest() throws Exception {
    issuers
        .with(TestIssuers.issuer(Type.KUBERNETES, ISS, TestIssuers.inline(signer)))
        .with(TestIssuers.issuer(Type.OIDC, "https://oidc.test", TestIssuers.inline(signer)))
        .with(TestIssuers.issuer(Type.SPIFFE, "td-a.test", spiffe(signer)));
  }

  private static KeySource spiffe(TestIssuer signer) throws Exception {
    Map<String, Object> jwk = new HashMap<>(signer.publicJwk());
    jwk.put("use", "jwt-svid");
    return new KeySource.Inline(new JWKSet(JWK.parse(jwk)));
  }

  private void refused(String token, ProblemCode code) {
    assertThatThrownBy(() -> verifier.verify(token))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.code()).as(e.detail()).isEqualTo(code));
  }

  @Test
  void verify_whenKubernetesTokenIsInOrder_saysWho() throws Exception {
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put("kubernetes.io", Map.of("pod", Map.of("uid", "pod-1")));
    VerifiedWorkload workload = verifier.verify(signer.token(claims));
    assertThat(workload.subject()).isEqualTo("system:serviceaccount:team-a:claims-bot");
    assertThat(workload.podUid()).isEqualTo("pod-1");
    assertThat(workload.expiresAt()).isEqualTo(NOW.plusSeconds(600));
    assertThat(workload.issuedAt()).isEqualTo(NOW.minusSeconds(10));
    assertThat(workload.useOnce()).isFalse();
    assertThat(workload.workloadUri())
        .isEqualTo("https://cluster.test#system:serviceaccount:team-a:claims-bot");
    assertThatThrownBy(() -> workload.claims().put("x", 1))
        .isInstanceOf(UnsupportedOperationException.class);
  }

  @Test
  void workloadUri_whenSubjectHasAnHashOrPercent_keepsWorkloadsApart() throws Exception {
    Map<String, Object> claims = TestIssuer.claims("https://oidc.test");
    claims.put("sub", "a#b%23 c");
    assertThat(verifier.verify(signer.token(claims)).workloadUri())
        .isEqualTo("https://oidc.test#a%23b%2523%20c");
  }

  @Test
  void verify_whenSpiffe_findsTheTrustDomainInSubWithoutIss() throws Exception {
    Map<String, Object> claims = TestIssuer.claims("");
    claims.remove("iss");
    claims.put("sub", "spiffe://td-a.test/ns/team-a/sa/bot");
    assertThat(verifier.verify(signer.token(claims)).workloadUri())
        .isEqualTo("spiffe://td-a.test/ns/team-a/sa/bot");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "spiffe://td-a.test",
        "spiffe://td-a.test/",
        "spiffe://td-a.test/a/",
        "spiffe://td-a.test//a",
        "spiffe://td-a.test/a/../b",
        "spiffe://td-a.test/./a",
        "spiffe://td-a.test/a%2fb",
        "spiffe://td-a.test/a?b",
        "spiffe://td-a.test/a#b",
        "spiffe://td-a.test/ä"
      })
  void verify_whenSpiffeIdIsMalformed_refuses(String sub) throws Exception {
    Map<String, Object> claims = TestIssuer.claims("x");
    claims.put("sub", sub);
    refused(signer.token(claims), ProblemCode.CLAIMS_INVALID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "SPIFFE://td-a.test/a",
        "spiffe://TD-A.test/a",
        "spiffe://td-b.test/a",
        "spiffe://user@td-a.test/a",
        "spiffe://td-a.test:443/a",
        "spiffe:///a",
        "spiffe://td-a.test.evil/a"
      })
  void verify_whenTrustDomainIsNotExactlyRegistered_refuses(String sub) throws Exception {
    Map<String, Object> claims = TestIssuer.claims("x");
    claims.put("sub", sub);
    refused(signer.token(claims), ProblemCode.ISSUER_UNKNOWN);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://cluster.test/",
        "HTTPS://cluster.test",
        "https://cluster.test ",
        "td-a.test"
      })
  void verify_whenIssIsNotExactlyRegistered_refuses(String iss) throws Exception {
    refused(signer.token(TestIssuer.claims(iss)), ProblemCode.ISSUER_UNKNOWN);
  }

  @Test
  void verify_whenIssuerIsUnknownOrDisabled_opensNoConnection() throws Exception {
    try (ServerSocket trap = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      trap.setSoTimeout(500);
      String there = "http://127.0.0.1:" + trap.getLocalPort();
      KeySource source = new KeySource.Discovery(URI.create(there), Tls.PLATFORM);
      issuers.with(TestIssuers.issuer(Type.OIDC, there, source, false, null, false));
      Map<String, Object> header = signer.header();
      header.put("jku", there + "/keys");
      header.put("x5u", there + "/chain");

      refused(
          signer.token(header, TestIssuer.claims(there + "/unknown")), ProblemCode.ISSUER_UNKNOWN);
      refused(signer.token(TestIssuer.claims(there)), ProblemCode.ISSUER_UNKNOWN);
      refused(signer.token(header, TestIssuer.claims(ISS)), ProblemCode.ALGORITHM_NOT_ALLOWED);
      assertThatThrownBy(trap::accept).isInstanceOf(SocketTimeoutException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"crit", "b64", "jku", "jwk", "x5u", "x5c"})
  void verify_whenHeaderChangesTheRules_refuses(String parameter) throws Exception {
    Map<String, Object> header = signer.header();
    header.put(parameter, List.of("x"));
    refused(signer.token(header, TestIssuer.claims(ISS)), ProblemCode.ALGORITHM_NOT_ALLOWED);
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "None", "HS256", "RS256", "es256", "ES384", "EdDSA", ""})
  void verify_whenAlgorithmIsNotTheIssuers_refuses(String alg) throws Exception {
    Map<String, Object> header = signer.header();
    header.put("alg", alg);
    refused(signer.token(header, TestIssuer.claims(ISS)), ProblemCode.ALGORITHM_NOT_ALLOWED);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"at+jwt", "AT+JWT", "application/at+jwt", "dpop+jwt", "JOSE", "logout+jwt", ""})
  void verify_whenTypeIsNotAnIdentityTokens_refuses(String typ) throws Exception {
    Map<String, Object> header = signer.header();
    header.put("typ", typ);
    refused(signer.token(header, TestIssuer.claims(ISS)), ProblemCode.ALGORITHM_NOT_ALLOWED);
  }

  @Test
  void verify_whenTypeIsAbsent_accepts() throws Exception {
    Map<String, Object> header = signer.header();
    header.remove("typ");
    assertThat(verifier.verify(signer.token(header, TestIssuer.claims(ISS)))).isNotNull();
  }

  @Test
  void verify_whenKidIsUnknown_refuses() throws Exception {
    Map<String, Object> header = signer.header();
    header.put("kid", "k2");
    refused(signer.token(header, TestIssuer.claims(ISS)), ProblemCode.KEY_UNKNOWN);
  }

  @Test
  void verify_whenKidIsAbsent_acceptsTheOnlyKeyAndNeverOneOfSeveral() throws Exception {
    Map<String, Object> header = signer.header();
    header.remove("kid");
    String token = signer.token(header, TestIssuer.claims(ISS));
    assertThat(verifier.verify(token)).isNotNull();

    JWKSet two =
        new JWKSet(List.of(signer.key.toPublicJWK(), new TestIssuer("k2").key.toPublicJWK()));
    issuers.with(TestIssuers.issuer(Type.KUBERNETES, ISS, new KeySource.Inline(two)));
    refused(token, ProblemCode.KEY_UNKNOWN);
  }

  @Test
  void verify_whenSignedByAnotherKeyOfTheSameName_refuses() throws Exception {
    refused(new TestIssuer("k1").token(TestIssuer.claims(ISS)), ProblemCode.SIGNATURE_INVALID);
  }

  @Test
  void verify_whenTwoKeysShareAName_refusesBoth() throws Exception {
    TestIssuer other = new TestIssuer("k1");
    JWKSet two = new JWKSet(List.of(signer.key.toPublicJWK(), other.key.toPublicJWK()));
    issuers.with(TestIssuers.issuer(Type.KUBERNETES, ISS, new KeySource.Inline(two)));
    refused(signer.token(TestIssuer.claims(ISS)), ProblemCode.KEY_UNKNOWN);
    refused(other.token(TestIssuer.claims(ISS)), ProblemCode.KEY_UNKNOWN);
  }

  @Test
  void verify_whenRegisteredKeyIsPrivate_doesNotTrustIt() throws Exception {
    KeySource leaked = new KeySource.Inline(new JWKSet(signer.key));
    issuers.with(TestIssuers.issuer(Type.KUBERNETES, ISS, leaked));
    refused(signer.token(TestIssuer.claims(ISS)), ProblemCode.KEY_UNKNOWN);
  }

  static Stream<Arguments> badClaims() {
    long now = NOW.getEpochSecond();
    return Stream.of(
        Arguments.of("exp", null, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", String.valueOf(now + 60), ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", now + 60.5, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", Long.MAX_VALUE, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", -1, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", now - 10, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", now - 10 + 3601, ProblemCode.CLAIMS_INVALID),
        Arguments.of("exp", now - 5, ProblemCode.TOKEN_EXPIRED),
        Arguments.of("iat", null, ProblemCode.CLAIMS_INVALID),
        Arguments.of("iat", true, ProblemCode.CLAIMS_INVALID),
        Arguments.of("iat", now + 6, ProblemCode.TOKEN_EXPIRED),
        Arguments.of("nbf", "soon", ProblemCode.CLAIMS_INVALID),
        Arguments.of("nbf", now + 6, ProblemCode.TOKEN_EXPIRED),
        Arguments.of("aud", null, ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("aud", List.of(), ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("aud", List.of(AUDIENCE, "https://other"), ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("aud", List.of(AUDIENCE, AUDIENCE), ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("aud", AUDIENCE + "/", ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("aud", Arrays.asList((Object) null), ProblemCode.AUDIENCE_MISMATCH),
        Arguments.of("sub", null, ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", 7, ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", " ", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "a\u0000", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "a\nb", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "a\u202Eb", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "a\u00A0b", ProblemCode.CLAIMS_INVALID),
        Arguments.of("sub", "a".repeat(256), ProblemCode.CLAIMS_INVALID),
        Arguments.of("jti", 5, ProblemCode.CLAIMS_INVALID),
        Arguments.of("jti", "a\u0000", ProblemCode.CLAIMS_INVALID));
  }

  @ParameterizedTest
  @MethodSource("badClaims")
  void verify_whenOneClaimIsWrong_refuses(String name, Object value, ProblemCode code)
      throws Exception {
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put(name, value);
    refused(signer.token(claims), code);
  }

  @Test
  void verify_whenSubHoldsALoneSurrogate_refuses() throws Exception {
    long now = NOW.getEpochSecond();
    refused(
        signer.token(
            "{\"alg\":\"ES256\",\"kid\":\"k1\"}",
            "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"a\\ud800\",\"iat\":%d,\"exp\":%d}"
                .formatted(ISS, AUDIENCE, now, now + 60)),
        ProblemCode.CLAIMS_INVALID);
  }

  @ParameterizedTest
  @CsvSource({"exp,-4", "iat,5", "nbf,5"})
  void verify_atTheEdgeOfTheLeeway_accepts(String claim, long offset) throws Exception {
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put(claim, NOW.getEpochSecond() + offset);
    assertThat(verifier.verify(signer.token(claims))).isNotNull();
  }

  @Test
  void verify_whenIssuerIsOnceAndJtiIsMissing_refuses() throws Exception {
    issuers.with(TestIssuers.issuer(Type.OIDC, ISS, TestIssuers.inline(signer), true, null, true));
    Map<String, Object> claims = TestIssuer.claims(ISS);
    refused(signer.token(claims), ProblemCode.CLAIMS_INVALID);
    claims.put("jti", "1");
    VerifiedWorkload workload = verifier.verify(signer.token(claims));
    assertThat(workload.useOnce()).isTrue();
    assertThat(workload.jti()).isEqualTo("1");
  }

  /** Each token is wrong in one more way than the next; the earliest step must speak. */
  @Test
  void verify_whenSeveralThingsAreWrong_theEarliestStepRefuses() throws Exception {
    List<ProblemCode> order = new ArrayList<>();
    TestIssuer stranger = new TestIssuer("k1");
    Map<String, Object> header = stranger.header();
    header.put("alg", "RS256");
    Map<String, Object> claims = TestIssuer.claims("https://unknown.test");
    claims.put("aud", "else");
    claims.put("exp", NOW.getEpochSecond() - 7);
    order.add(codeOf(stranger.token(header, claims) + "="));
    order.add(codeOf(stranger.token(header, claims)));
    claims.put("iss", ISS);
    order.add(codeOf(stranger.token(header, claims)));
    header.put("alg", "ES256");
    order.add(codeOf(stranger.token(header, claims)));
    order.add(codeOf(signer.token(header, claims)));
    claims.put("exp", NOW.getEpochSecond() + 7);
    order.add(codeOf(signer.token(header, claims)));
    assertThat(order)
        .containsExactly(
            ProblemCode.TOKEN_MALFORMED,
            ProblemCode.ISSUER_UNKNOWN,
            ProblemCode.ALGORITHM_NOT_ALLOWED,
            ProblemCode.SIGNATURE_INVALID,
            ProblemCode.TOKEN_EXPIRED,
            ProblemCode.AUDIENCE_MISMATCH);
  }

  private ProblemCode codeOf(String token) {
    try {
      verifier.verify(token);
      throw new AssertionError("accepted");
    } catch (RefusedException e) {
      return e.code();
    }
  }

  @Test
  void verify_whenSeenBefore_stillEndsWithTheToken() throws Exception {
    Map<String, Object> claims = TestIssuer.claims(ISS);
    claims.put("exp", NOW.getEpochSecond() + 20);
    String token = signer.token(claims);
    VerifiedWorkload first = verifier.verify(token);
    assertThat(verifier.verify(token)).isSameAs(first);
    clock.advance(Duration.ofSeconds(25));
    refused(token, ProblemCode.TOKEN_EXPIRED);
  }

  @Test
  void verify_whenSeenBefore_isCheckedAgainAfterAMinute() throws Exception {
    String token = signer.token(TestIssuer.claims(ISS));
    VerifiedWorkload first = verifier.verify(token);
    clock.advance(Duration.ofSeconds(60));
    assertThat(verifier.verify(token)).isNotSameAs(first);
  }

  @Test
  void verify_whenSeenBefore_isRefusedOnceTheIssuerIsDisabledRemovedOrHasOtherKeys()
      throws Exception {
    String token = signer.token(TestIssuer.claims(ISS));
    verifier.verify(token);
    issuers.with(
        TestIssuers.issuer(Type.KUBERNETES, ISS, TestIssuers.inline(signer), false, null, false));
    refused(token, ProblemCode.ISSUER_UNKNOWN);
    issuers.with(
        TestIssuers.issuer(Type.KUBERNETES, ISS, TestIssuers.inline(new TestIssuer("k1"))));
    refused(token, ProblemCode.SIGNATURE_INVALID);
    issuers.byKey.remove(ISS);
    refused(token, ProblemCode.ISSUER_UNKNOWN);
  }
}
