package io.valetkey.broker.access;

import io.valetkey.broker.policy.RequestPath;
import java.util.Set;

/**
 * What the holder of a verified access token wants to do with it.
 *
 * @param agent the agent that the token was issued to
 * @param issuer the name of the issuer of the identity behind it
 * @param subject the subject of that identity
 * @param jti the token's id
 * @param tokenEpoch the stop epoch in which it was issued
 * @param tokenDestination the destination that it was issued for
 * @param scopes the scopes in it
 * @param destination the destination of the request
 * @param method the method of the request
 * @param path the path of the request below the destination
 */
public record Use(
    String agent,
    String issuer,
    String subject,
    String jti,
    long tokenEpoch,
    String tokenDestination,
    Set<String> scopes,
    String destination,
    String method,
    RequestPath path) {}
