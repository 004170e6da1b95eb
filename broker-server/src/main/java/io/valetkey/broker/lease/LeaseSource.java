package io.valetkey.broker.lease;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.policy.LeaseEngine;
import io.valetkey.broker.policy.ScopeSpec;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;

/**
 * What is leased, and on which terms: destination and scope, put together.
 *
 * @param engine the engine
 * @param mount its mount
 * @param role the role there
 * @param fixed whether the role is one of an account that exists already
 * @param parameters what the engine is asked with besides
 * @param origin what the credential is for
 * @param maxTtl how long a lease may live, renewals included
 * @param maxLive how many an agent may have at once under this scope
 */
record LeaseSource(
    LeaseEngine engine,
    String mount,
    String role,
    boolean fixed,
    Map<String, String> parameters,
    String origin,
    Duration maxTtl,
    int maxLive) {

  private static final Duration MAX_TTL = Duration.ofHours(1);
  private static final int MAX_LIVE = 10;

  /** The source that a scope of a leased destination names. */
  static LeaseSource of(Destination destination, String scope) {
    ScopeSpec.Lease terms =
        Objects.requireNonNull(Objects.requireNonNull(destination.scopes().get(scope)).lease());
    var credential = (Credential.VaultDynamic) destination.credential();
    Duration maxTtl = terms.maxTtl();
    Integer maxLive = terms.maxLive();
    String role = terms.role();
    return new LeaseSource(
        Objects.requireNonNull(credential.engine()),
        credential.mount(),
        role == null ? credential.role() : role,
        Boolean.TRUE.equals(credential.fixed()),
        Objects.requireNonNullElse(credential.parameters(), Map.of()),
        destination.origin(),
        maxTtl == null ? MAX_TTL : maxTtl,
        maxLive == null ? MAX_LIVE : maxLive);
  }

  /** Whether a lease was had from here. */
  boolean isOf(Lease lease) {
    return engine == lease.engine()
        && mount.equals(lease.mount())
        && role.equals(lease.role())
        && fixed == lease.fixed();
  }
}
