package io.valetkey.broker.identity;

import com.nimbusds.jose.JWSVerifier;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Checks identity tokens, in the order of the contract (02-api section 2, steps 1 to 5 and 7): the
 * spelling, the issuer, the algorithm and type, the signature, the claims, and whether the platform
 * still vouches for the workload. Nothing that an unverified token says causes a network request:
 * only registered, enabled issuers are asked, at their registered addresses.
 */
public final class IdentityVerifier {

  // Together less than the 5 s within which a token request is answered (promise P4).
  private static final Duration KEYS_WITHIN = Duration.ofSeconds(3);
  private static final Duration REVIEW_WITHIN = Duration.ofMillis(1500);
  private static final Duration REVIEW_KEEP = Duration.ofSeconds(10);
  private static final int CACHED_PER_ISSUER = 20_000;
  private static final int CACHED = 100_000;

  /** Parameters that say where keys are, or change what the signature covers. */
  private static final Set<String> REFUSED_HEADERS =
      Set.of("crit", "b64", "jku", "jwk", "x5u", "x5c");

  private final TrustedIssuers issuers;
  private final KeyFetch fetch;
  private final ClaimsCheck claims;
  private final TokenReview review;
  private final VerifiedTokens verified = new VerifiedTokens(CACHED_PER_ISSUER, CACHED);
  private final Map<String, IssuerKeys> keys = new ConcurrentHashMap<>();
  private final Clock clock;

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
    this.fetch = new KeyFetch(http, crypto);
    this.claims = new ClaimsCheck(audience, clock);
    this.review = new TokenReview(http, audience);
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
    long keyGeneration = requireSignature(issuer, jws);
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
        || keysOf(issuer).generation() != entry.keyGeneration
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
    for (String name : jws.header().keySet()) {
      if (REFUSED_HEADERS.contains(name)) {
        throw notAllowed("the header parameter " + name + " is never accepted");
      }
    }
    if (!issuer.algorithms().contains(jws.alg())) {
      throw notAllowed("the algorithm is not among the issuer's");
    }
    String typ = jws.typ();
    if (typ != null && !types(issuer.type()).contains(typ.toUpperCase(Locale.ROOT))) {
      throw notAllowed("the type is not an identity token's");
    }
  }

  /** JWT-SVID section 2.3 allows JOSE as well; everybody may leave it out. */
  private static Set<String> types(TrustedIssuer.Type type) {
    return switch (type) {
      case KUBERNETES -> Set.of("JWT");
      case SPIFFE, OIDC -> Set.of("JWT", "JOSE");
    };
  }

  private static RefusedException notAllowed(String detail) {
    return new RefusedException(ProblemCode.ALGORITHM_NOT_ALLOWED, detail);
  }

  /** Step 4; returns the generation of the keys that verified it. */
  private long requireSignature(TrustedIssuer issuer, CompactJws jws) {
    IssuerKeys issuerKeys = keysOf(issuer);
    long giveUp = System.nanoTime() + KEYS_WITHIN.toNanos();
    IssuerKeys.Current current = issuerKeys.get(giveUp);
    JWSVerifier key = current.keys().candidate(jws.kid(), jws.alg());
    if (key == null) {
      current = issuerKeys.lookAgain(giveUp);
      key = current.keys().candidate(jws.kid(), jws.alg());
    }
    if (key == null) {
      throw new RefusedException(ProblemCode.KEY_UNKNOWN, "the issuer has no such key");
    }
    if (!jws.signedBy(key)) {
      throw new RefusedException(ProblemCode.SIGNATURE_INVALID, "the signature does not fit");
    }
    return current.generation();
  }

  private IssuerKeys keysOf(TrustedIssuer issuer) {
    IssuerKeys known = keys.get(issuer.name());
    if (known != null && known.issuer().generation() == issuer.generation()) {
      return known;
    }
    IssuerKeys made =
        keys.compute(
            issuer.name(),
            (name, before) ->
                before != null && before.issuer().generation() == issuer.generation()
                    ? before
                    : new IssuerKeys(issuer, fetch, clock));
    return made;
  }
}
