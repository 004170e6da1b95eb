package io.valetkey.broker.approval;

import java.time.Instant;
import java.util.UUID;

/**
 * How it stands with an approval, as the agent may know it.
 *
 * @param id its id
 * @param state its state
 * @param expiresAt until when it waits, or can be used
 */
public record Standing(UUID id, ApprovalState state, Instant expiresAt) {}
