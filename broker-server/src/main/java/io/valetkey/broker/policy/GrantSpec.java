package io.valetkey.broker.policy;

import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one agent may have on one destination.
 *
 * @param agent the agent's name
 * @param destination the destination's name
 * @param scopes names of scopes of that destination
 * @param limits how much; no bound if absent
 * @param expiresAt when it ends by itself; never if absent
 */
public record GrantSpec(
    String agent,
    String destination,
    List<String> scopes,
    @Nullable Limits limits,
    @Nullable Instant expiresAt)
    implements ResourceSpec {

  /**
   * How much the agent may use.
   *
   * @param requestsPerMinute requests per minute through all gateways together; no bound if absent
   */
  public record Limits(@Nullable Integer requestsPerMinute) {}
}
