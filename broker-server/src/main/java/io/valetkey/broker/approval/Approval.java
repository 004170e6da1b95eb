package io.valetkey.broker.approval;

import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A request for an approval, and what became of it.
 *
 * @param id its id
 * @param state its state now
 * @param agent whose request it is
 * @param issuer the issuer of the agent's identity
 * @param subject its subject there
 * @param jti the id of the access token that came with it
 * @param destination the destination
 * @param scope the scope that asks for the approval
 * @param grant the grant that grants the scope
 * @param requestHash what an approval has to name
 * @param method the method of the request
 * @param url where it goes
 * @param contentType what its body is said to be
 * @param fields its fields; empty once it has ended
 * @param bodySize the length of its body, in bytes
 * @param createdAt when it was asked for
 * @param expiresAt until when it waits, or can be used
 * @param decidedBy who decided
 * @param decidedAt when
 * @param reason why, in their words
 * @param endedAt when it was denied, used or over
 */
public record Approval(
    UUID id,
    ApprovalState state,
    String agent,
    String issuer,
    String subject,
    String jti,
    String destination,
    String scope,
    String grant,
    String requestHash,
    String method,
    String url,
    @Nullable String contentType,
    List<ShownRequest.Field> fields,
    int bodySize,
    Instant createdAt,
    Instant expiresAt,
    @Nullable String decidedBy,
    @Nullable Instant decidedAt,
    @Nullable String reason,
    @Nullable Instant endedAt) {}
