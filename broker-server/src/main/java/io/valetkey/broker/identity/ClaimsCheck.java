package io.valetkey.broker.identity;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What an identity token must say (02-api section 2, step 5). Our own, because libraries forgive a
 * missing {@code exp}, a minute of leeway, several audiences and subjects with control characters.
 */
final class ClaimsCheck {

  /** How far the issuer's clock and ours may be apart. */
  static final Duration LEEWAY = Duration.ofSeconds(5);

  private static final int LONGEST_NAME = 255;
  private static final long LAST_SECOND = 253_402_300_799L; // of the year 9999

  private final String audience;
  private final Clock clock;

  ClaimsCheck(String audience, Clock clock) {
    this.audience = audience;
    this.clock = clock;
  }

  VerifiedWorkload check(TrustedIssuer issuer, Map<String, @Nullable Object> claims) {
    Instant issuedAt = time(claims, "iat");
    Instant expiresAt = time(claims, "exp");
    if (!expiresAt.isAfter(issuedAt)) {
      throw invalid("exp is not after iat");
    }
    if (Duration.between(issuedAt, expiresAt).compareTo(issuer.maxTokenAge()) > 0) {
      throw invalid("exp - iat is more than the issuer's maximum");
    }
    requireNow(claims, issuedAt, expiresAt);
    if (!soleAudience(claims.get("aud"))) {
      throw new RefusedException(ProblemCode.AUDIENCE_MISMATCH, "aud is not ours alone");
    }
    String subject = subject(issuer, claims);
    VerifiedWorkload workload =
        new VerifiedWorkload(issuer, subject, claims, issuedAt, expiresAt, null);
    requireNames(issuer, claims, workload);
    return workload;
  }

  /** Whether the token may still be used, for one that was checked before. */
  boolean stillValid(VerifiedWorkload workload) {
    return clock.instant().isBefore(workload.expiresAt().plus(LEEWAY));
  }

  void requireNow(Map<String, @Nullable Object> claims, Instant issuedAt, Instant expiresAt) {
    Instant now = clock.instant();
    if (!now.isBefore(expiresAt.plus(LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "exp has passed");
    }
    if (issuedAt.isAfter(now.plus(LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "iat is in the future");
    }
    if (claims.containsKey("nbf") && time(claims, "nbf").isAfter(now.plus(LEEWAY))) {
      throw new RefusedException(ProblemCode.TOKEN_EXPIRED, "nbf is in the future");
    }
  }

  static Instant time(Map<String, @Nullable Object> claims, String name) {
    Object value = claims.get(name);
    if (!(value instanceof Integer || value instanceof Long)) {
      throw invalid(name + " is missing or not an integer");
    }
    long seconds = ((Number) value).longValue();
    if (seconds < 0 || seconds > LAST_SECOND) {
      throw invalid(name + " is out of range");
    }
    return Instant.ofEpochSecond(seconds);
  }

  private boolean soleAudience(@Nullable Object aud) {
    return audience.equals(aud)
        || (aud instanceof List<?> list && list.size() == 1 && audience.equals(list.getFirst()));
  }

  private static String subject(TrustedIssuer issuer, Map<String, @Nullable Object> claims) {
    if (!(claims.get("sub") instanceof String subject) || !printable(subject)) {
      throw invalid("sub is missing, too long or not printable");
    }
    if (issuer.type() == TrustedIssuer.Type.SPIFFE && !SpiffeId.isWorkload(subject)) {
      throw invalid("sub is not a workload's SPIFFE ID");
    }
    return subject;
  }

  /** Ids that end up in our token, our audit or our database are held to the rules of sub. */
  private static void requireNames(
      TrustedIssuer issuer, Map<String, @Nullable Object> claims, VerifiedWorkload workload) {
    Object jti = claims.get("jti");
    if (jti == null ? issuer.once() : !(jti instanceof String id && printable(id))) {
      throw invalid("jti is missing, too long or not printable");
    }
    String podUid = workload.podUid();
    if (podUid != null && !printable(podUid)) {
      throw invalid("the pod's uid is too long or not printable");
    }
  }

  static boolean printable(String name) {
    return !name.isBlank()
        && name.length() <= LONGEST_NAME
        && name.codePoints().allMatch(ClaimsCheck::printable);
  }

  private static boolean printable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }

  static RefusedException invalid(String detail) {
    return new RefusedException(ProblemCode.CLAIMS_INVALID, detail);
  }
}
