package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.problem.Outcomes;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.net.InetAddress;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Checks identity tokens and certificates, the first in the order of the contract (02-api section
 * 2, steps 1 to 5 and 7): the spelling, the issuer, the algorithm and type, the signature, the
 * claims, and whether the platform still vouches for the workload. Nothing that an unverified token
 * says causes a network request: only registered, enabled issuers are asked, at their registered
 * addresses.
 */
public final class IdentityVerifier {

  // With the time for keys less than the 5 s within which a token request is answered (promise P4).
  private static final Duration REVIEW_WITHIN = Duration.ofMillis(1500);
  private static final Duration REVIEW_KEEP = Duration.ofSeconds(10);
  private static final int CACHED_PER_ISSUER = 20_000;
  private static final int CACHED = 100_000;

  private final TrustedIssuers issuers;
  private final SignatureCheck signatures;
  private final ClaimsCheck claims;
  private final TokenReview review;
  private final X509SvidCheck certificates;
  private final VerifiedTokens verified = new VerifiedTokens(CACHED_PER_ISSUER, CACHED);
  private final Clock clock;
  private final Outcomes outcomes = new Outcomes();

  /**
   * Makes a verifier.
   *
   * @param audience our issuer identifier, the sole audience of identity tokens
   * @param mayConnect asked for each address that an issuer's host resolves to, before connecting
   * @param allowLoopbackHttp whether keys and reviews may be had over plain http from loopback
   */
  public IdentityVerifier(
      TrustedIssuers issuers,
      String audience,
      CryptoProvider crypto,
      Predicate<InetAddress> mayConnect,
      boolean allowLoopbackHttp,
      Clock clock) {
    BoundedHttp http = new BoundedHttp(mayConnect, allowLoopbackHttp);
    this.issuers = issuers;
    this.signatures = new SignatureCheck(new KeyFetch(http, crypto), clock);
    this.claims = new ClaimsCheck(audience, clock);
    this.review = new TokenReview(http, audience);
    this.certificates = new X509SvidCheck(clock);
    this.clock = clock;
  }

  /**
   * Says who the token's bearer is. May block while keys or a review are fetched, less than 5
   * seconds in all.
   *
   * @throws RefusedException with the first thing that is wrong: {@code TOKEN_MALFORMED}, {@code
   *     ISSUER_UNKNOWN}, {@code ALGORITHM_NOT_ALLOWED}, {@code KEY_UNKNOWN}, {@code
   *     SIGNATURE_INVALID}, {@code CLAIMS_INVALID}, {@code TOKEN_EXPIRED}, {@code
   *     AUDIENCE_MISMATCH}, {@code TOKEN_REVOKED}; or {@code ISSUER_UNAVAILABLE} if keys or review
   *     cannot be had, which is not the caller's fault
   */
  public VerifiedWorkload verify(String identityToken) {
    try {
      VerifiedWorkload workload = check(identityToken);
      outcomes.granted();
      return workload;
    } catch (RefusedException e) {
      outcomes.notGranted(e.code());
      throw e;
    }
  }

  /**
   * Says whose certificate this is. May block while the bundle of its trust domain is fetched, less
   * than 5 seconds.
   *
   * @param chain as the peer of a TLS connection sent it in a handshake, in which it proved to have
   *     the key of the first
   * @throws RefusedException with the first thing that is wrong: {@code TOKEN_MALFORMED}, {@code
   *     ISSUER_UNKNOWN}, {@code CLAIMS_INVALID}, {@code ALGORITHM_NOT_ALLOWED}, {@code
   *     TOKEN_EXPIRED}, {@code SIGNATURE_INVALID}; or {@code ISSUER_UNAVAILABLE} if the bundle
   *     cannot be had, which is not the caller's fault
   */
  public VerifiedWorkload verify(List<X509Certificate> chain) {
    try {
      VerifiedWorkload workload = check(chain);
      outcomes.granted();
      return workload;
    } catch (RefusedException e) {
      outcomes.notGranted(e.code());
      throw e;
    }
  }

  private VerifiedWorkload check(List<X509Certificate> chain) {
    String id = X509SvidCheck.spiffeId(chain);
    String domain = SpiffeId.trustDomain(id);
    TrustedIssuer issuer = domain == null ? null : issuers.byTrustDomain(domain);
    X509Trust trust = issuer == null ? null : issuer.x509();
    if (issuer == null || !issuer.enabled() || trust == null) {
      throw new RefusedException(
          ProblemCode.ISSUER_UNKNOWN, "no enabled issuer has X.509-SVIDs of this trust domain");
    }
    X509Authorities authorities = signatures.authorities(issuer, trust);
    return certificates.check(issuer, trust.maxAge(), id, chain, authorities);
  }

  /** How identity tokens and certificates were judged since the start. */
  public Outcomes outcomes() {
    return outcomes;
  }

  /** Since when the issuer has not confirmed its keys, in seconds; NaN if they were not needed. */
  public double keysAgeSeconds(String issuerName) {
    IssuerKeys keys = signatures.seen(issuerName);
    return keys == null ? Double.NaN : keys.ageSeconds();
  }

  /** Whether the last attempt to get the issuer's keys failed. */
  public boolean areKeysFailing(String issuerName) {
    IssuerKeys keys = signatures.seen(issuerName);
    return keys != null && keys.isFailing();
  }

  private VerifiedWorkload check(String identityToken) {
    CompactJws.requireSpelling(identityToken); // before the text is a key of anything
    VerifiedTokens.Fingerprint fingerprint = VerifiedTokens.Fingerprint.of(identityToken);
    VerifiedWorkload known = remembered(fingerprint, identityToken);
    if (known != null) {
      return known;
    }
    Instant started =
        clock.instant(); // what is remembered ages from here, not from the last answer
    CompactJws jws = CompactJws.parse(identityToken);
    TrustedIssuer issuer = registered(jws);
    requireAllowedHeader(issuer, jws);
    long keyGeneration = signatures.require(issuer, jws); // step 4
    VerifiedWorkload workload = claims.check(issuer, jws.payload());
    if (issuer.review() != null) {
      review.require(issuer.review(), identityToken, workload.subject(), REVIEW_WITHIN);
    }
    verified.admit(new VerifiedTokens.Entry(fingerprint, workload, issuer, keyGeneration, started));
    return workload;
  }

  /** The same answer as a moment ago, if everything that led to it is still so. */
  private @Nullable VerifiedWorkload remembered(
      VerifiedTokens.Fingerprint fingerprint, String token) {
    VerifiedTokens.Entry entry = verified.find(fingerprint);
    if (entry == null) {
      return null;
    }
    Instant now = clock.instant();
    TrustedIssuer issuer =
        entry.issuer.type() == TrustedIssuer.Type.SPIFFE
            ? issuers.byTrustDomain(entry.issuer.key())
            : issuers.byIssuer(entry.issuer.key());
    if (issuer == null
        || !issuer.enabled()
        || issuer.generation() != entry.issuer.generation()
        || signatures.generation(issuer) != entry.keyGeneration
        || !entry.fresh(now)
        || !claims.stillValid(entry.workload)) {
      verified.forget(entry);
      return null;
    }
    if (issuer.review() != null && !now.isBefore(entry.reviewedAt.plus(REVIEW_KEEP))) {
      review.require(issuer.review(), token, entry.workload.subject(), REVIEW_WITHIN);
      entry.reviewedAt = now;
    }
    return entry.workload;
  }

  /** Step 2: by {@code iss}, else by the trust domain of {@code sub}; both still untrusted. */
  private TrustedIssuer registered(CompactJws jws) {
    TrustedIssuer issuer = null;
    if (jws.payload().get("iss") instanceof String iss) {
      issuer = issuers.byIssuer(iss);
    }
    if (issuer == null && jws.payload().get("sub") instanceof String sub) {
      String domain = SpiffeId.trustDomain(sub);
      issuer = domain == null ? null : issuers.byTrustDomain(domain);
    }
    if (issuer == null || !issuer.enabled()) {
      throw new RefusedException(
          ProblemCode.ISSUER_UNKNOWN, "the issuer is not registered or disabled");
    }
    return issuer;
  }

  /** Step 3. */
  private static void requireAllowedHeader(TrustedIssuer issuer, CompactJws jws) {
    SignatureCheck.requireAllowedHeader(issuer, jws);
    String typ = jws.typ();
    if (typ != null && !types(issuer.type()).contains(typ.toUpperCase(Locale.ROOT))) {
      throw SignatureCheck.notAllowed("the type is not an identity token's");
    }
  }

  /** JWT-SVID section 2.3 allows JOSE as well; everybody may leave it out. */
  private static Set<String> types(TrustedIssuer.Type type) {
    return switch (type) {
      case KUBERNETES -> Set.of("JWT");
      case SPIFFE, OIDC -> Set.of("JWT", "JOSE");
    };
  }
}
