package io.valetkey.broker.access;

import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a verified workload asks for.
 *
 * @param issuer the name of the issuer that vouches for it
 * @param subject its subject there
 * @param claims the verified claims
 * @param destination the destination's name; null for the agent's only one
 * @param scopes the scopes asked for; empty for all that are granted
 */
public record TokenWish(
    String issuer,
    String subject,
    Map<String, @Nullable Object> claims,
    @Nullable String destination,
    Set<String> scopes) {}
