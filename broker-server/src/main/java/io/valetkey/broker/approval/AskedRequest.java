package io.valetkey.broker.approval;

import java.time.Duration;

/**
 * A request for which somebody's approval is asked.
 *
 * @param agent whose request it is
 * @param issuer the issuer of the agent's identity
 * @param subject its subject there
 * @param jti the id of the access token that came with it
 * @param scope the scope that asks for the approval
 * @param grant the grant that grants the scope
 * @param epoch the stop epoch of the decision that allowed it
 * @param validFor how long it waits, and then how long its approval can be used
 * @param shown the request itself
 */
public record AskedRequest(
    String agent,
    String issuer,
    String subject,
    String jti,
    String scope,
    String grant,
    long epoch,
    Duration validFor,
    ShownRequest shown) {}
