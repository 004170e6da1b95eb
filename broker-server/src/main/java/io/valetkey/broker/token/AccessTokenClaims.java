package io.valetkey.broker.token;

import java.security.SecureRandom;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is put into an access token (RFC 9068). No policy: what the scopes allow is looked up when
 * the token is used.
 *
 * @param jti the token's id, made by {@link #newJti}
 * @param agent the agent's name
 * @param workload the stable workload URI
 * @param issuer the name of the issuer of the identity
 * @param subject the subject of the identity
 * @param podUid the pod, if the platform told
 * @param destination the destination's name
 * @param scopes the scopes
 * @param issuedAt when it is issued, in whole seconds
 * @param expiresAt when it ends, in whole seconds
 * @param keyThumbprint the thumbprint of the key that it is bound to (RFC 9449), if it is
 * @param certificateThumbprint that of the certificate that it is bound to (RFC 8705), if it is
 */
public record AccessTokenClaims(
    String jti,
    String agent,
    String workload,
    String issuer,
    String subject,
    @Nullable String podUid,
    String destination,
    List<String> scopes,
    Instant issuedAt,
    Instant expiresAt,
    @Nullable String keyThumbprint,
    @Nullable String certificateThumbprint) {

  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int RANDOM_BYTES = 16;

  /**
   * A new id: the stop epoch under which the token was decided, a dot, and 128 random bits. The
   * epoch is what makes a stop a cut-off that needs no clock: a token of an earlier epoch is from
   * before it.
   */
  public static String newJti(long epoch) {
    byte[] random = new byte[RANDOM_BYTES];
    RANDOM.nextBytes(random);
    return epoch + "." + Base64.getUrlEncoder().withoutPadding().encodeToString(random);
  }

  static long epochOf(String jti) {
    int dot = jti.indexOf('.');
    return dot <= 0 ? 0 : Long.parseLong(jti, 0, dot, 10);
  }
}
