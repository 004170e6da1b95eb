package io.valetkey.broker.gateway;

import java.util.Set;

/**
 * What a verified access token says about who is calling.
 *
 * @param jti the token's id
 * @param tokenEpoch the stop epoch in which it was issued
 * @param agent the agent's name
 * @param issuer the name of the issuer of the identity behind it
 * @param subject the subject of that identity
 * @param destination the only destination it is for
 * @param scopes the scopes in it
 */
public record Caller(
    String jti,
    long tokenEpoch,
    String agent,
    String issuer,
    String subject,
    String destination,
    Set<String> scopes) {

  /** Copies the scopes. */
  public Caller {
    scopes = Set.copyOf(scopes);
  }
}
