package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
    List<Identity> identities,
    List<Grant> grants) {

  /**
   * One of the identities that an agent has.
   *
   * @param agent the agent's name
   * @param issuer the name of a registered issuer
   * @param subject the exact subject; a SPIFFE ID with a final {@code /} is a path prefix
   * @param claims further claims that must all be equal
   */
  public record Identity(String agent, String issuer, String subject, Map<String, String> claims) {

    private static Identity compile(String agent, AgentSpec.Identity spec) {
      Map<String, String> claims = spec.claims();
      return new Identity(
          agent,
          spec.issuer().intern(),
          spec.subject(),
          claims == null ? Map.of() : Map.copyOf(claims));
    }

    /** Whether a workload of this issuer has this subject, or one below the prefix that it is. */
    public boolean fits(String workloadIssuer, String workloadSubject) {
      boolean prefix =
          subject.startsWith("spiffe://")
              && subject.endsWith("/")
              && workloadSubject.startsWith(subject);
      return issuer.equals(workloadIssuer) && (subject.equals(workloadSubject) || prefix);
    }

    boolean hasClaims(Map<String, @Nullable Object> presented) {
      for (Map.Entry<String, String> claim : claims.entrySet()) {
        if (!Objects.equals(presented.get(claim.getKey()), claim.getValue())) {
          return false;
        }
      }
      return true;
    }
  }

  static Agent compile(String name, AgentSpec spec, List<Grant> grants) {
    Boolean enabled = spec.enabled();
    return new Agent(
        name,
        enabled == null || enabled,
        spec.maxTokenTtl(),
        List.copyOf(spec.identities().stream().map(i -> Identity.compile(name, i)).toList()),
        grants);
  }

  /** Its grant on a destination, or null. */
  public @Nullable Grant grantOn(String destination) {
    for (int i = 0; i < grants.size(); i++) {
      if (grants.get(i).destination().equals(destination)) {
        return grants.get(i);
      }
    }
    return null;
  }

  /** Whether one of its identities is this subject, or a path prefix of it. */
  public boolean hasIdentity(String issuer, String subject) {
    for (Identity identity : identities) {
      if (identity.fits(issuer, subject)) {
        return true;
      }
    }
    return false;
  }

  Agent with(Grant grant) {
    String grantName = grant.name();
    List<Grant> others = new ArrayList<>(grants.size() + 1);
    for (Grant other : grants) {
      if (!other.name().equals(grantName)) {
        others.add(other);
      }
    }
    others.add(grant);
    return new Agent(name, enabled, maxTokenTtl, identities, List.copyOf(others));
  }

  Agent without(String grantName) {
    List<Grant> others = grants.stream().filter(g -> !g.name().equals(grantName)).toList();
    return new Agent(name, enabled, maxTokenTtl, identities, List.copyOf(others));
  }
}
