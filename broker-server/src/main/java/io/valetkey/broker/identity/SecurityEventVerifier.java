package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Checks security event tokens (RFC 8417) with the same spelling, key and signature rules as
 * identity tokens. The type must be {@code secevent+jwt}, so that no other token of an issuer can
 * be played as one, and no {@code exp} may be there, so that none can be played as another.
 */
public final class SecurityEventVerifier {

  /** How old an event may be; for as long its {@code jti} must be remembered. */
  public static final Duration OLDEST = Duration.ofDays(1);

  private static final String TYPE = "secevent+jwt";
  private static final int MOST_AUDIENCES = 16;

  private final TrustedIssuers issuers;
  private final SignatureCheck signatures;
  private final String audience;
  private final Clock clock;

  /**
   * Makes a verifier; the arguments are those of {@link IdentityVerifier}.
   *
   * @param audience our issuer identifier, which must be among the audiences of an event
   */
  public SecurityEventVerifier(
      TrustedIssuers issuers,
      String audience,
      CryptoProvider crypto,
      Predicate<InetAddress> mayConnect,
      boolean allowLoopbackHttp,
      Clock clock) {
    this.issuers = issuers;
    this.signatures =
        new SignatureCheck(
            new KeyFetch(new BoundedHttp(mayConnect, allowLoopbackHttp), crypto), clock);
    this.audience = audience;
    this.clock = clock;
  }

  /**
   * A token whose transmitter is known.
   *
   * @param transmitter the name of the issuer that signed it
   * @param jti its id
   * @param issuedAt when it was made
   * @param claims everything that it says, unmodifiable
   */
  public record Verified(
      String transmitter, String jti, Instant issuedAt, Map<String, @Nullable Object> claims) {}

  /**
   * Checks a token. May block while keys are fetched, less than 5 seconds.
   *
   * @param transmitters the names of the issuers that may send events
   * @throws RefusedException with the first thing that is wrong, as {@link IdentityVerifier#verify}
   */
  public Verified verify(String token, Set<String> transmitters) {
    CompactJws jws = CompactJws.parse(token);
    TrustedIssuer issuer =
        jws.payload().get("iss") instanceof String iss ? issuers.byIssuer(iss) : null;
    if (issuer == null || !issuer.enabled() || !transmitters.contains(issuer.name())) {
      throw new RefusedException(
          ProblemCode.ISSUER_UNKNOWN, "the issuer is no transmitter of events, or disabled");
    }
    SignatureCheck.requireAllowedHeader(issuer, jws);
    String typ = jws.typ();
    if (typ == null || !typ.toLowerCase(Locale.ROOT).equals(TYPE)) {
      throw SignatureCheck.notAllowed("the type is not that of a security event token");
    }
    signatures.require(issuer, jws);
    return claims(issuer, jws.payload());
  }

  private Verified claims(TrustedIssuer issuer, Map<String, @Nullable Object> claims) {
    if (claims.containsKey("exp")) {
      throw ClaimsCheck.invalid("a security event token has no exp");
    }
    Instant issuedAt = ClaimsCheck.time(claims, "iat");
    Instant now = clock.instant();
    if (issuedAt.isAfter(now.plus(ClaimsCheck.LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "iat is in the future");
    }
    if (issuedAt.isBefore(now.minus(OLDEST))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "the event is too old");
    }
    if (!meantForUs(claims.get("aud"))) {
      throw new RefusedException(ProblemCode.AUDIENCE_MISMATCH, "aud does not name us");
    }
    if (!(claims.get("jti") instanceof String jti) || !ClaimsCheck.printable(jti)) {
      throw ClaimsCheck.invalid("jti is missing, too long or not printable");
    }
    return new Verified(issuer.name(), jti, issuedAt, claims);
  }

  /**
   * Unlike an identity token, an event gives its holder nothing, so it may be meant for others too.
   */
  private boolean meantForUs(@Nullable Object aud) {
    return audience.equals(aud)
        || (aud instanceof List<?> list
            && list.size() <= MOST_AUDIENCES
            && list.contains(audience));
  }
}
