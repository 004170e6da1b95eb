package io.valetkey.broker.identity;

import com.nimbusds.jose.JWSVerifier;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The steps that every token of a registered issuer goes through, whatever it is for: the header
 * says nothing that would change how it is read, the algorithm is one of the issuer's, and a key of
 * the issuer made the signature.
 */
final class SignatureCheck {

  // With the time for a review less than the 5 s within which a request is answered (promise P4).
  private static final Duration KEYS_WITHIN = Duration.ofSeconds(3);

  /** Parameters that say where keys are, or change what the signature covers. */
  private static final Set<String> REFUSED_HEADERS =
      Set.of("crit", "b64", "jku", "jwk", "x5u", "x5c");

  private final KeyFetch fetch;
  private final Clock clock;
  private final Map<String, IssuerKeys> keys = new ConcurrentHashMap<>();

  SignatureCheck(KeyFetch fetch, Clock clock) {
    this.fetch = fetch;
    this.clock = clock;
  }

  /**
   * Refuses a header that is never accepted, or an algorithm that is not the issuer's.
   *
   * @throws RefusedException {@link ProblemCode#ALGORITHM_NOT_ALLOWED}
   */
  static void requireAllowedHeader(TrustedIssuer issuer, CompactJws jws) {
    for (String name : jws.header().keySet()) {
      if (REFUSED_HEADERS.contains(name)) {
        throw notAllowed("the header parameter " + name + " is never accepted");
      }
    }
    if (!issuer.algorithms().contains(jws.alg())) {
      throw notAllowed("the algorithm is not among the issuer's");
    }
  }

  static RefusedException notAllowed(String detail) {
    return new RefusedException(ProblemCode.ALGORITHM_NOT_ALLOWED, detail);
  }

  /**
   * Checks the signature; may block while keys are fetched.
   *
   * @return the generation of the keys that verified it
   * @throws RefusedException {@link ProblemCode#KEY_UNKNOWN}, {@link ProblemCode#SIGNATURE_INVALID}
   *     or {@link ProblemCode#ISSUER_UNAVAILABLE}
   */
  long require(TrustedIssuer issuer, CompactJws jws) {
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

  /**
   * Who signs the X.509-SVIDs of this issuer; may block while its bundle is fetched.
   *
   * @throws RefusedException {@link ProblemCode#ISSUER_UNAVAILABLE}
   */
  X509Authorities authorities(TrustedIssuer issuer, X509Trust trust) {
    return switch (trust) {
      case X509Trust.Inline inline -> inline.authorities();
      case X509Trust.OfBundle bundle ->
          keysOf(issuer).get(System.nanoTime() + KEYS_WITHIN.toNanos()).authorities();
    };
  }

  /** The generation of the issuer's keys that count now; -1 if none do. Never fetches. */
  long generation(TrustedIssuer issuer) {
    return keysOf(issuer).generation();
  }

  /** The keys of this issuer, as far as they were needed. */
  @Nullable IssuerKeys seen(String issuerName) {
    return keys.get(issuerName);
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
