package io.valetkey.broker.token;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWK;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.identity.CompactJws;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.text.ParseException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Checks DPoP proofs (RFC 9449 section 4.3). A proof is used up by its check: its {@code jti} is
 * kept in a store that all replicas share, so a proof that one replica has seen is worthless at
 * every other.
 */
public final class DpopProofs {

  /** The algorithms that a proof may be signed with; also what the metadata says. */
  public static final Set<String> ALGORITHMS = Set.of("ES256", "EdDSA");

  private static final Duration PAST = Duration.ofSeconds(60);
  private static final Duration FUTURE = Duration.ofSeconds(5);
  private static final Set<String> HEADER = Set.of("typ", "alg", "jwk");
  private static final int MAX_JTI = 128;

  private final CryptoProvider crypto;
  private final UsedOnce usedOnce;
  private final Clock clock;

  /** Checks with this provider and this shared store. */
  public DpopProofs(CryptoProvider crypto, UsedOnce usedOnce, Clock clock) {
    this.crypto = crypto;
    this.usedOnce = usedOnce;
    this.clock = clock;
  }

  /**
   * Checks one proof and uses it up.
   *
   * @param proof the value of the only {@code DPoP} header
   * @param method the method of the request
   * @param uri the request's URI without query and fragment
   * @param accessToken the access token that the proof must be for, or null at the token endpoint
   * @return the thumbprint of the key (RFC 7638) that the proof was made with
   * @throws RefusedException {@link ProblemCode#INVALID_DPOP_PROOF}, or {@link
   *     ProblemCode#TEMPORARILY_UNAVAILABLE} if the shared store did not answer
   */
  public String check(String proof, String method, String uri, @Nullable String accessToken) {
    CompactJws jws = parse(proof);
    JWK key = key(jws);
    requireSignature(jws, key);
    Map<String, @Nullable Object> claims = jws.payload();
    require(method.equals(claims.get("htm")), "The proof is for another method");
    require(uri.equals(claims.get("htu")), "The proof is for another URI");
    Instant issuedAt = issuedAt(claims.get("iat"));
    if (accessToken != null) {
      require(hash(accessToken).equals(claims.get("ath")), "The proof is for another access token");
    }
    String thumbprint = thumbprint(key);
    require(
        claims.get("jti") instanceof String jti
            && !jti.isEmpty()
            && jti.length() <= MAX_JTI
            && usedOnce.claim("dpop", thumbprint, jti, issuedAt.plus(PAST).plus(FUTURE)),
        "The proof has no usable jti, or was used before");
    return thumbprint;
  }

  private static CompactJws parse(String proof) {
    try {
      return CompactJws.parse(proof);
    } catch (RefusedException e) {
      throw invalid("The proof is not a compact JWS");
    }
  }

  private static JWK key(CompactJws jws) {
    Map<String, @Nullable Object> header = jws.header();
    require(header.keySet().equals(HEADER), "The proof's header has other members than it must");
    require("dpop+jwt".equals(header.get("typ")), "The proof has the wrong type");
    require(ALGORITHMS.contains(jws.alg()), "The proof's algorithm is not supported");
    if (!(header.get("jwk") instanceof Map<?, ?> members)) {
      throw invalid("The proof has no key");
    }
    Map<String, Object> jwk = new LinkedHashMap<>();
    members.forEach((name, value) -> jwk.put(String.valueOf(name), Objects.requireNonNull(value)));
    try {
      JWK key = JWK.parse(jwk);
      require(!key.isPrivate(), "The proof shows a private key");
      return key;
    } catch (ParseException | IllegalArgumentException e) {
      throw invalid("The proof's key cannot be read");
    }
  }

  private void requireSignature(CompactJws jws, JWK key) {
    try {
      require(
          jws.signedBy(crypto.verifier(key, JWSAlgorithm.parse(jws.alg()))),
          "The proof's signature does not fit");
    } catch (JOSEException e) {
      throw invalid("The proof's key does not fit its algorithm");
    }
  }

  private Instant issuedAt(@Nullable Object iat) {
    if (!(iat instanceof Number seconds)) {
      throw invalid("The proof does not say when it was made");
    }
    Instant issuedAt = Instant.ofEpochSecond(seconds.longValue());
    Instant now = clock.instant();
    require(
        !issuedAt.isBefore(now.minus(PAST)) && !issuedAt.isAfter(now.plus(FUTURE)),
        "The proof is too old, or from the future");
    return issuedAt;
  }

  private static String thumbprint(JWK key) {
    try {
      return key.computeThumbprint().toString();
    } catch (JOSEException e) {
      throw invalid("The proof's key has no thumbprint");
    }
  }

  private static String hash(String accessToken) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(Sha256.of(accessToken));
  }

  private static void require(boolean fact, String otherwise) {
    if (!fact) {
      throw invalid(otherwise);
    }
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_DPOP_PROOF, detail);
  }
}
