package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One or more workload identities that share grants.
 *
 * @param identities who this agent is; any of them will do
 * @param maxTokenTtl the longest life of its access tokens; no bound of its own if absent
 * @param enabled whether it gets and may use tokens; true if absent
 */
public record AgentSpec(
    List<Identity> identities, @Nullable Duration maxTokenTtl, @Nullable Boolean enabled)
    implements ResourceSpec {

  /**
   * One identity.
   *
   * @param issuer the name of a registered issuer
   * @param subject the exact subject; a SPIFFE ID with a final {@code /} is a path prefix
   * @param claims further claims that must all be equal; none if absent
   */
  public record Identity(String issuer, String subject, @Nullable Map<String, String> claims) {}
}
