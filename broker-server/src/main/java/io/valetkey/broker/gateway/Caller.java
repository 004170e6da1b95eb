package io.valetkey.broker.gateway;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a verified access token says about who is calling, or what a token would say in whose place
 * the certificate of the connection stands.
 *
 * @param jti the token's id
 * @param kid the id of the key that signed it; null if there is no token, but a certificate alone
 * @param tokenEpoch the stop epoch in which it was issued
 * @param agent the agent's name
 * @param issuer the name of the issuer of the identity behind it
 * @param subject the subject of that identity
 * @param destination the only destination it is for
 * @param scopes the scopes in it
 * @param keyThumbprint the key that the token is bound to (RFC 9449), or null if it is not
 * @param certificateThumbprint the certificate that it is bound to (RFC 8705), or null
 */
public record Caller(
    String jti,
    @Nullable String kid,
    long tokenEpoch,
    String agent,
    String issuer,
    String subject,
    String destination,
    Set<String> scopes,
    @Nullable String keyThumbprint,
    @Nullable String certificateThumbprint) {

  /** Copies the scopes. */
  public Caller {
    scopes = Set.copyOf(scopes);
  }
}
