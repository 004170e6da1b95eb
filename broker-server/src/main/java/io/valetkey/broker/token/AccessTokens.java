package io.valetkey.broker.token;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.identity.CompactJws;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Verifies our own access tokens, without the network or the database. What was verified once is
 * remembered by the full SHA-256 of the token until the token ends.
 */
public final class AccessTokens {

  private static final Set<String> HEADER = Set.of("alg", "typ", "kid");
  private static final int REMEMBERED = 100_000;

  private final TokenSettings settings;
  private final SigningKeys keys;
  private final Clock clock;
  private final Cache<ByteBuffer, AccessToken> verified =
      Caffeine.newBuilder().maximumSize(REMEMBERED).build();

  /** Verifies with the public keys of all replicas. */
  public AccessTokens(TokenSettings settings, SigningKeys keys, Clock clock) {
    this.settings = settings;
    this.keys = keys;
    this.clock = clock;
  }

  /**
   * Verifies one token.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_TOKEN} if it is not one of ours, has ended,
   *     or its key is revoked; {@link ProblemCode#STOPS_STALE} if nobody knows whether it is
   */
  public AccessToken verify(String compact) {
    if (!keys.isFresh()) {
      throw new RefusedException(
          ProblemCode.STOPS_STALE, "The view of signing keys is older than its bound");
    }
    ByteBuffer hash = ByteBuffer.wrap(Sha256.of(compact));
    AccessToken known = verified.getIfPresent(hash);
    if (known == null) {
      known = verifyAnew(compact);
      verified.put(hash, known);
    }
    requireKey(known.kid());
    if (!clock.instant().isBefore(known.expiresAt())) {
      verified.invalidate(hash);
      throw invalid("The access token has ended");
    }
    return known;
  }

  /**
   * Requires that a key still counts.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_TOKEN} if it was revoked or has ended
   */
  public void requireKey(String kid) {
    if (!keys.counts(kid)) {
      throw invalid("The access token was signed with a key that does not count any more");
    }
  }

  private AccessToken verifyAnew(String compact) {
    try {
      CompactJws jws = CompactJws.parse(compact);
      if (!jws.header().keySet().equals(HEADER) || !"at+jwt".equals(jws.typ())) {
        throw invalid("The header is not that of an access token");
      }
      requireSignature(jws);
      return new AccessToken(claims(jws.payload()), String.valueOf(jws.kid()));
    } catch (RefusedException e) {
      throw e.code() == ProblemCode.INVALID_TOKEN ? e : invalid(e.detail());
    }
  }

  private void requireSignature(CompactJws jws) {
    SigningKeys.PublicKey key = keys.publicKey(String.valueOf(jws.kid()));
    if (key == null || !key.algorithm().getName().equals(jws.alg())) {
      throw invalid("The access token was signed with a key that we do not know");
    }
    if (!jws.signedBy(key.verifier())) {
      throw invalid("The signature does not fit");
    }
  }

  private AccessTokenClaims claims(Map<String, @Nullable Object> payload) {
    String destination = settings.destinationOf(text(payload, "aud"));
    if (!settings.issuer().equals(payload.get("iss")) || destination == null) {
      throw invalid("The access token is for another installation");
    }
    if (!(payload.get("wid") instanceof Map<?, ?> wid)) {
      throw invalid("The access token does not say whose it is");
    }
    Object cnf = payload.get("cnf");
    requireKnownBinding(cnf);
    String jti = text(payload, "jti");
    return new AccessTokenClaims(
        jti,
        text(payload, "client_id"),
        text(payload, "sub"),
        String.valueOf(wid.get("iss")),
        String.valueOf(wid.get("sub")),
        wid.get("pod_uid") instanceof String podUid ? podUid : null,
        destination,
        Arrays.stream(text(payload, "scope").split(" ")).filter(s -> !s.isEmpty()).toList(),
        time(payload, "iat"),
        time(payload, "exp"),
        thumbprint(cnf, "jkt"),
        thumbprint(cnf, "x5t#S256"));
  }

  /** A binding that we do not check must not make a token one that anybody may use. */
  private static void requireKnownBinding(@Nullable Object cnf) {
    boolean known =
        cnf == null
            || (cnf instanceof Map<?, ?> map
                && map.size() == 1
                && (map.get("jkt") instanceof String || map.get("x5t#S256") instanceof String));
    if (!known) {
      throw invalid("The access token is bound in a way that we do not know");
    }
  }

  private static @Nullable String thumbprint(@Nullable Object cnf, String kind) {
    return cnf instanceof Map<?, ?> map && map.get(kind) instanceof String thumbprint
        ? thumbprint
        : null;
  }

  private static String text(Map<String, @Nullable Object> payload, String name) {
    if (payload.get(name) instanceof String text) {
      return text;
    }
    throw invalid("The access token has no " + name);
  }

  private static Instant time(Map<String, @Nullable Object> payload, String name) {
    if (payload.get(name) instanceof Number seconds) {
      return Instant.ofEpochSecond(seconds.longValue());
    }
    throw invalid("The access token has no " + name);
  }

  private static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.INVALID_TOKEN, detail);
  }
}
