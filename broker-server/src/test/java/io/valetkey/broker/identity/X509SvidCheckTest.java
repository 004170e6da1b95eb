package io.valetkey.broker.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.jwk.JWKSet;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.TestTrustDomain;
import io.valetkey.broker.TestTrustDomain.Draft;
import io.valetkey.broker.TestTrustDomain.Svid;
import io.valetkey.broker.identity.TrustedIssuer.Type;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** X.509-SVIDs, as they come out of a handshake. Invariant: I10. */
class X509SvidCheckTest {

  private static final String ID = "spiffe://td-a.test/bot";
  private static final TestTrustDomain OURS = TestTrustDomain.of("td-a.test");
  private static final TestTrustDomain OTHER = TestTrustDomain.of("td-b.test");

  private final MovableClock clock =
      new MovableClock(Instant.now().truncatedTo(ChronoUnit.SECONDS));
  private final TestIssuers issuers = new TestIssuers();
  private final IdentityVerifier verifier =
      new IdentityVerifier(issuers, TestIssuer.AUDIENCE, TestIssuer.CRYPTO, a -> true, true, clock);

  X509SvidCheckTest() {
    trust(OURS);
  }

  private void trust(TestTrustDomain domain) {
    issuers.with(
        issuer(new X509Trust.Inline(X509Authorities.ofPem(domain.pem()), Duration.ofHours(25))));
  }

  private static TrustedIssuer issuer(X509Trust trust) {
    return issuer(trust, new KeySource.Inline(new JWKSet()), true);
  }

  private static TrustedIssuer issuer(X509Trust trust, KeySource keys, boolean enabled) {
    return new TrustedIssuer(
        "mesh",
        Type.SPIFFE,
        "td-a.test",
        keys,
        Set.of("ES256"),
        Duration.ofHours(1),
        true,
        null,
        trust,
        enabled,
        System.nanoTime());
  }

  private void refused(Svid svid, ProblemCode code) {
    refused(svid.chain, code);
  }

  private void refused(List<X509Certificate> chain, ProblemCode code) {
    assertThatThrownBy(() -> verifier.verify(chain))
        .isInstanceOfSatisfying(
            RefusedException.class, e -> assertThat(e.code()).as(e.detail()).isEqualTo(code));
  }

  @Test
  void verify_whenEverythingIsRight_saysWhoseItIs() {
    Svid svid = OURS.workload("/bot");

    VerifiedWorkload workload = verifier.verify(svid.chain);

    assertThat(workload.issuer()).isEqualTo("mesh");
    assertThat(workload.subject()).isEqualTo(ID);
    assertThat(workload.workloadUri()).isEqualTo(ID);
    assertThat(workload.claims()).isEmpty();
    assertThat(workload.certificateThumbprint()).hasSize(43);
    assertThat(workload.useOnce()).as("the issuer's tokens are, certificates are not").isFalse();
    assertThat(workload.expiresAt()).isEqualTo(svid.leaf().getNotAfter().toInstant());
  }

  static Stream<Draft> good() {
    return Stream.of(
        OURS.svid("/bot").dns("bot.example"),
        OURS.svid("/bot").purposes(),
        OURS.svid("/bot").basic(null),
        OURS.svid("/bot").usage(KeyUsage.digitalSignature | KeyUsage.keyEncipherment),
        OURS.svid("/bot").curve("secp384r1"),
        OURS.svid("/bot").rsa(2048),
        OURS.svid("/bot").ed25519());
  }

  @ParameterizedTest
  @MethodSource("good")
  void verify_whatSpiffeAllows_accepts(Draft draft) {
    assertThat(verifier.verify(draft.make().chain).subject()).isEqualTo(ID);
  }

  @Test
  void verify_overAnIntermediate_withOrWithoutTheRoot_accepts() {
    Svid intermediate = OURS.intermediate(0).make();
    Svid svid = OURS.svid("/bot").by(intermediate).make();

    assertThat(svid.chain).hasSize(2);
    assertThat(verifier.verify(svid.chain).subject()).isEqualTo(ID);
    assertThat(verifier.verify(svid.over(intermediate.leaf(), OURS.certificate()).chain).subject())
        .isEqualTo(ID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "spiffe://td-a.test",
        "spiffe://td-a.test/",
        "spiffe://td-a.test/bot/",
        "spiffe://td-a.test//bot",
        "spiffe://td-a.test/a/../bot",
        "spiffe://td-a.test/./bot",
        "spiffe://td-a.test/b%6ft",
        "spiffe://td-a.test/bot?x",
        "spiffe://td-a.test/bot#x",
        "spiffe://td-a.test:443/bot",
        "spiffe://x@td-a.test/bot",
        "spiffe://TD-A.test/bot",
        "SPIFFE://td-a.test/bot",
        "https://td-a.test/bot",
        "urn:td-a.test:bot"
      })
  void verify_whenTheNameHasAnotherSpelling_refuses(String uri) {
    refused(OURS.svid("/bot").uris(uri).make(), ProblemCode.TOKEN_MALFORMED);
  }

  @Test
  void verify_whenTheNameIsTooLong_refuses() {
    refused(OURS.svid("/" + "x".repeat(240)).make(), ProblemCode.TOKEN_MALFORMED);
  }

  @Test
  void verify_whenThereIsNotExactlyOneUri_refuses() {
    refused(OURS.svid("/bot").uris(ID, ID).make(), ProblemCode.TOKEN_MALFORMED);
    refused(OURS.svid("/bot").uris(ID, "https://bot.example/").make(), ProblemCode.TOKEN_MALFORMED);
    refused(OURS.svid("/bot").uris().dns("td-a.test").make(), ProblemCode.TOKEN_MALFORMED);
    refused(OURS.svid("/bot").uris().make(), ProblemCode.TOKEN_MALFORMED);
    refused(List.of(), ProblemCode.TOKEN_MALFORMED);
  }

  @Test
  void verify_whenAnotherDomainsAuthoritySigned_refuses() {
    refused(OTHER.workload("/bot"), ProblemCode.ISSUER_UNKNOWN);
    refused(OTHER.svid("/bot").uris(ID).make(), ProblemCode.SIGNATURE_INVALID);
    refused(OURS.svid("/bot").signedByAnother(OTHER), ProblemCode.SIGNATURE_INVALID);
    refused(OURS.svid("/bot").selfSigned(), ProblemCode.SIGNATURE_INVALID);
  }

  @Test
  void verify_whenAChainBringsItsOwnRoot_refuses() {
    Svid forged = OTHER.svid("/bot").uris(ID).make();
    refused(forged.over(OTHER.certificate()), ProblemCode.SIGNATURE_INVALID);
    refused(forged.over(OURS.certificate()), ProblemCode.SIGNATURE_INVALID);
  }

  static Stream<Draft> notALeaf() {
    return Stream.of(
        OURS.svid("/bot").authority(null),
        OURS.svid("/bot").authority(null).usage(KeyUsage.digitalSignature),
        OURS.svid("/bot").usage(0),
        OURS.svid("/bot").usageNotCritical(),
        OURS.svid("/bot").usage(KeyUsage.keyEncipherment),
        OURS.svid("/bot").usage(KeyUsage.digitalSignature | KeyUsage.keyCertSign),
        OURS.svid("/bot").usage(KeyUsage.digitalSignature | KeyUsage.cRLSign),
        OURS.svid("/bot").purposes(KeyPurposeId.id_kp_serverAuth),
        OURS.svid("/bot").purposes(KeyPurposeId.anyExtendedKeyUsage),
        OURS.svid("/bot").purposes().purposesOfBytes(new byte[] {4, 1, 7}));
  }

  @ParameterizedTest
  @MethodSource("notALeaf")
  void verify_whenTheKeyIsForSomethingElse_refuses(Draft draft) {
    refused(draft.make(), ProblemCode.CLAIMS_INVALID);
  }

  static Stream<Draft> weak() {
    return Stream.of(
        OURS.svid("/bot").rsa(1024),
        OURS.svid("/bot").curve("secp521r1"),
        OURS.svid("/bot").signedBy("SHA1withECDSA"));
  }

  @ParameterizedTest
  @MethodSource("weak")
  void verify_whenAKeyOrASignatureIsWeak_refuses(Draft draft) {
    refused(draft.make(), ProblemCode.ALGORITHM_NOT_ALLOWED);
  }

  @Test
  void verify_whenACriticalExtensionIsNotKnown_refuses() {
    refused(
        OURS.svid("/bot").withAnUnknownCriticalExtension().make(), ProblemCode.SIGNATURE_INVALID);
  }

  @Test
  void verify_atTheEdgesOfItsLife_goesByTheLeeway() {
    Instant now = clock.instant();
    Svid ended = OURS.svid("/bot").life(now.minusSeconds(600), now.minusSeconds(4)).make();
    Svid early = OURS.svid("/bot").life(now.plusSeconds(5), now.plusSeconds(600)).make();
    assertThat(verifier.verify(ended.chain)).isNotNull();
    assertThat(verifier.verify(early.chain)).isNotNull();

    refused(
        OURS.svid("/bot").life(now.minusSeconds(600), now.minusSeconds(5)).make(),
        ProblemCode.TOKEN_EXPIRED);
    refused(
        OURS.svid("/bot").life(now.plusSeconds(6), now.plusSeconds(600)).make(),
        ProblemCode.TOKEN_EXPIRED);
    clock.advance(Duration.ofSeconds(1));
    refused(ended, ProblemCode.TOKEN_EXPIRED);
  }

  @Test
  void verify_whenItLivesLongerThanTheIssuerAllows_refuses() {
    Instant from = clock.instant().minusSeconds(60);
    assertThat(
            verifier.verify(
                OURS.svid("/bot").life(from, from.plus(Duration.ofHours(25))).make().chain))
        .isNotNull();
    refused(
        OURS.svid("/bot").life(from, from.plus(Duration.ofHours(25)).plusSeconds(1)).make(),
        ProblemCode.CLAIMS_INVALID);
  }

  @Test
  void verify_whenTheChainIsNotWhole_refuses() {
    Svid intermediate = OURS.intermediate(null).make();
    Svid svid = OURS.svid("/bot").by(intermediate).make();
    X509Certificate other = OURS.intermediate(null).make().leaf();

    refused(svid.over(), ProblemCode.SIGNATURE_INVALID);
    refused(svid.over(other), ProblemCode.SIGNATURE_INVALID);
    refused(svid.over(OURS.certificate(), intermediate.leaf()), ProblemCode.SIGNATURE_INVALID);
    refused(svid.over(other, intermediate.leaf()), ProblemCode.SIGNATURE_INVALID);
    refused(Collections.nCopies(7, svid.leaf()), ProblemCode.TOKEN_MALFORMED);
  }

  @Test
  void verify_whenAWorkloadSignsForAnother_refuses() {
    refused(OURS.svid("/bot").by(OURS.workload("/thief")).make(), ProblemCode.SIGNATURE_INVALID);
  }

  @Test
  void verify_whenAnIntermediateHasEnded_refuses() {
    Instant now = clock.instant();
    Svid ended = OURS.intermediate(null).life(now.minusSeconds(600), now.minusSeconds(60)).make();
    refused(OURS.svid("/bot").by(ended).make(), ProblemCode.TOKEN_EXPIRED);
  }

  @Test
  void verify_whenThePathIsLongerThanAllowed_refuses() {
    Svid first = OURS.intermediate(0).make();
    Svid second = OTHER.intermediate(null).by(first).make();
    refused(OURS.svid("/bot").by(second).make(), ProblemCode.SIGNATURE_INVALID);
  }

  /** A bare trust anchor would say nothing of these. */
  @Test
  void verify_whatTheRootSaysOfItself_holds() {
    TestTrustDomain flat =
        TestTrustDomain.of("td-a.test", TestTrustDomain.rootDraft("td-a.test").authority(0));
    trust(flat);
    assertThat(verifier.verify(flat.workload("/bot").chain)).isNotNull();
    refused(
        flat.svid("/bot").by(flat.intermediate(null).make()).make(), ProblemCode.SIGNATURE_INVALID);

    Instant now = clock.instant();
    TestTrustDomain past =
        TestTrustDomain.of(
            "td-a.test",
            TestTrustDomain.rootDraft("td-a.test").life(now.minusSeconds(99), now.minusSeconds(9)));
    trust(past);
    refused(past.workload("/bot"), ProblemCode.TOKEN_EXPIRED);

    TestTrustDomain narrow =
        TestTrustDomain.of(
            "td-a.test", TestTrustDomain.rootDraft("td-a.test").permitting("td-c.test"));
    trust(narrow);
    refused(narrow.workload("/bot"), ProblemCode.SIGNATURE_INVALID);
  }

  @Test
  void verify_whenTheIssuerIsDisabled_orHasNoX509_refuses() {
    var trust = new X509Trust.Inline(X509Authorities.ofPem(OURS.pem()), Duration.ofHours(25));
    for (TrustedIssuer issuer :
        List.of(issuer(null), issuer(trust, new KeySource.Inline(new JWKSet()), false))) {
      issuers.with(issuer);
      refused(OURS.workload("/bot"), ProblemCode.ISSUER_UNKNOWN);
    }
  }

  @Test
  void authorities_thatAreNone_areNotRead() {
    Function<Draft, String> pem = draft -> TestTrustDomain.pem(draft.make().leaf());
    for (String text :
        List.of(
            "",
            "nonsense",
            pem.apply(OURS.svid("/bot")),
            TestTrustDomain.pem(OURS.svid("/bot").selfSigned().leaf()),
            pem.apply(OURS.intermediate(null)),
            pem.apply(TestTrustDomain.rootDraft("x").usage(KeyUsage.digitalSignature)),
            OURS.pem() + pem.apply(OURS.svid("/bot")))) {
      assertThatThrownBy(() -> X509Authorities.ofPem(text))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  /** The only thing that is asked, and only once the trust domain is known. */
  @Test
  void verify_byTheBundle_asksOnlyItsRegisteredPlace() throws Exception {
    try (TestServer server = new TestServer()) {
      var keys = new KeySource.SpiffeBundle(server.uri("/bundle"), server.tls());
      issuers.with(issuer(new X509Trust.OfBundle(Duration.ofHours(25)), keys, true));
      refused(OTHER.workload("/bot"), ProblemCode.ISSUER_UNKNOWN);
      assertThat(server.requests).hasValue(0);

      server.answers(500, "");
      refused(OURS.workload("/bot"), ProblemCode.ISSUER_UNAVAILABLE);
      server.answers(200, OURS.bundle());
      clock.advance(Duration.ofSeconds(31));
      assertThat(verifier.verify(OURS.workload("/bot").chain).subject()).isEqualTo(ID);
      int asked = server.requests.get();
      refused(OTHER.svid("/bot").uris(ID).make(), ProblemCode.SIGNATURE_INVALID);
      assertThat(server.requests).hasValue(asked);
    }
  }

  @Test
  void verify_whenTheBundleForgetsAnAuthority_refusesWhatItSigned() throws Exception {
    try (TestServer server = new TestServer()) {
      var keys = new KeySource.SpiffeBundle(server.uri("/bundle"), server.tls());
      issuers.with(issuer(new X509Trust.OfBundle(Duration.ofHours(25)), keys, true));
      server.answers(200, OURS.bundle());
      assertThat(verifier.verify(OURS.workload("/bot").chain)).isNotNull();

      server.answers(200, TestTrustDomain.of("td-a.test").bundle());
      clock.advance(Duration.ofMinutes(16)); // longer than keys are kept unconfirmed
      refused(OURS.workload("/bot"), ProblemCode.SIGNATURE_INVALID);
    }
  }
}
