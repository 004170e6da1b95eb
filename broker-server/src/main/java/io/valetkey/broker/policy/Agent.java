package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * An agent with its grants, as the decision uses it.
 *
 * @param name its name
 * @param enabled whether it may get and use tokens
 * @param maxTokenTtl the bound on the life of its tokens, if it has one
 * @param identities who it is
 * @param grants what it may have; at most one for each destination
 */
public record Agent(
    String name,
    boolean enabled,
    @Nullable Duration maxTokenTtl,
    List<AgentSpec.Identity> identities,
    List<Grant> grants) {

  static Agent compile(String name, AgentSpec spec, List<Grant> grants) {
    Boolean enabled = spec.enabled();
    return new Agent(
        name,
        enabled == null || enabled,
        spec.maxTokenTtl(),
        List.copyOf(spec.identities()),
        grants);
  }

  /** Its grant on a destination, or null. */
  public @Nullable Grant grantOn(String destination) {
    for (Grant grant : grants) {
      if (grant.destination().equals(destination)) {
        return grant;
      }
    }
    return null;
  }

  /** Whether one of its identities is this subject, or a path prefix of it. */
  public boolean hasIdentity(String issuer, String subject) {
    for (AgentSpec.Identity identity : identities) {
      String own = identity.subject();
      boolean prefix = own.startsWith("spiffe://") && own.endsWith("/") && subject.startsWith(own);
      if (identity.issuer().equals(issuer) && (own.equals(subject) || prefix)) {
        return true;
      }
    }
    return false;
  }

  Agent with(Grant grant) {
    List<Grant> others = new ArrayList<>(grants.size() + 1);
    for (Grant other : grants) {
      if (!other.name().equals(grant.name())) {
        others.add(other);
      }
    }
    others.add(grant);
    return new Agent(name, enabled, maxTokenTtl, identities, List.copyOf(others));
  }

  Agent without(String grantName) {
    List<Grant> others = grants.stream().filter(g -> !g.name().equals(grantName)).toList();
    return new Agent(name, enabled, maxTokenTtl, identities, others);
  }
}
