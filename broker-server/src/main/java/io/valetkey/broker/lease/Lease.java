package io.valetkey.broker.lease;

import io.valetkey.broker.access.Holder;
import io.valetkey.broker.policy.LeaseEngine;
import java.time.Instant;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A lease as it is stored: everything that is needed to take it back, and no secret.
 *
 * @param id our own id; Vault's never leaves the server
 * @param state where it stands
 * @param agent whose it is
 * @param issuer the issuer of the identity behind it
 * @param subject the subject of that identity
 * @param jti the access token it was handed out for; null if an identity token stood for one
 * @param epoch the stop epoch of the decision
 * @param destination the destination
 * @param scope the scope under which it was leased
 * @param engine the engine
 * @param mount the engine's mount in Vault
 * @param role the role there
 * @param fixed whether the role is one of an account that exists already
 * @param accessor the accessor of its owner token, once there is one
 * @param vaultLeaseId Vault's id of it, once there is one
 * @param renewable whether its life can be made longer
 * @param revocable whether Vault can take it back before its end
 * @param createdAt when it was asked for
 * @param expiresAt when it ends, once it is active
 * @param maxExpiresAt when it ends at the latest, however often it is renewed
 * @param revokeAt since when it must be gone, if it must
 * @param revokeReason why, if it must
 * @param attempts how often taking it back was tried
 * @param lastError what the last try came to
 * @param endedAt when it was found gone
 * @param over whether its own end had passed when it was read, by the database's clock
 */
public record Lease(
    UUID id,
    LeaseState state,
    String agent,
    String issuer,
    String subject,
    @Nullable String jti,
    long epoch,
    String destination,
    String scope,
    LeaseEngine engine,
    String mount,
    String role,
    boolean fixed,
    @Nullable String accessor,
    @Nullable String vaultLeaseId,
    boolean renewable,
    boolean revocable,
    Instant createdAt,
    @Nullable Instant expiresAt,
    Instant maxExpiresAt,
    @Nullable Instant revokeAt,
    @Nullable String revokeReason,
    int attempts,
    @Nullable String lastError,
    @Nullable Instant endedAt,
    boolean over) {

  /** Whoever got it, as the decision asks. */
  Holder holder() {
    return new Holder(agent, issuer, subject, jti, epoch, destination, Set.of(scope));
  }
}
