package io.valetkey.broker.access;

import io.valetkey.broker.condition.Asker;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The holder of a verified access token.
 *
 * @param agent the agent that the token was issued to
 * @param issuer the name of the issuer of the identity behind it
 * @param subject the subject of that identity
 * @param jti the token's id; null where an identity token stands for one
 * @param tokenEpoch the stop epoch in which it was issued
 * @param tokenDestination the destination that it was issued for
 * @param scopes the scopes in it
 */
public record Holder(
    String agent,
    String issuer,
    String subject,
    @Nullable String jti,
    long tokenEpoch,
    String tokenDestination,
    Set<String> scopes)
    implements Asker {}
