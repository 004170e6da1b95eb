package io.valetkey.broker.identity;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What an ID token must say (OpenID Connect Core sections 2 and 3.1.3.7). */
final class IdTokenCheck {

  private static final int MOST_AUDIENCES = 16;

  /** It comes straight from the provider, so it was made a moment ago. */
  private static final Duration OLDEST = Duration.ofMinutes(10);

  private final String issuer;
  private final String clientId;
  private final ClaimsCheck times;
  private final Clock clock;

  IdTokenCheck(String issuer, String clientId, Clock clock) {
    this.issuer = issuer;
    this.clientId = clientId;
    this.times = new ClaimsCheck(clientId, clock);
    this.clock = clock;
  }

  /**
   * Refuses a token of another issuer, before anything is fetched for it.
   *
   * @throws RefusedException {@link ProblemCode#ISSUER_UNKNOWN}
   */
  void requireIssuer(@Nullable Object iss) {
    if (!issuer.equals(iss)) {
      throw new RefusedException(ProblemCode.ISSUER_UNKNOWN, "iss is not the provider's");
    }
  }

  /**
   * Checks the claims of a token whose issuer and signature are right.
   *
   * @throws RefusedException {@link ProblemCode#CLAIMS_INVALID}, {@link ProblemCode#TOKEN_EXPIRED}
   *     or {@link ProblemCode#AUDIENCE_MISMATCH}
   */
  void require(Map<String, @Nullable Object> claims, String nonce) {
    Instant issuedAt = ClaimsCheck.time(claims, "iat");
    times.requireNow(claims, issuedAt, ClaimsCheck.time(claims, "exp"));
    if (issuedAt.isBefore(clock.instant().minus(OLDEST))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "iat is too long ago");
    }
    requireAudience(claims);
    if (!(claims.get("nonce") instanceof String said)
        || !MessageDigest.isEqual(
            said.getBytes(StandardCharsets.UTF_8), nonce.getBytes(StandardCharsets.UTF_8))) {
      throw ClaimsCheck.invalid("nonce is not that of this sign-in");
    }
    if (!(claims.get("sub") instanceof String subject) || !ClaimsCheck.printable(subject)) {
      throw ClaimsCheck.invalid("sub is missing, too long or not printable");
    }
  }

  /** With several audiences, azp must say that the token was made for us. */
  private void requireAudience(Map<String, @Nullable Object> claims) {
    boolean ours = clientId.equals(claims.get("aud"));
    boolean several = false;
    if (claims.get("aud") instanceof List<?> list) {
      ours = list.size() <= MOST_AUDIENCES && list.contains(clientId);
      several = list.size() > 1;
    }
    boolean named = claims.containsKey("azp");
    if (!ours || (several && !named) || (named && !clientId.equals(claims.get("azp")))) {
      throw new RefusedException(
          ProblemCode.AUDIENCE_MISMATCH, "aud or azp does not say that the ID token is ours");
    }
  }
}
