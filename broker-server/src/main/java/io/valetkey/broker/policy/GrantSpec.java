package io.valetkey.broker.policy;

import io.valetkey.broker.limit.Caps;
import io.valetkey.broker.policy.DestinationSpec.ByteSize;
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
   * @param modelTokensPerHour model tokens within one hour, in UTC; no bound if absent
   * @param modelTokensPerDay model tokens within one day, in UTC; no bound if absent
   * @param bytesPerDay bytes of bodies, both ways, within one day, in UTC; no bound if absent
   * @param concurrentStreams requests that are open at the same time; no bound if absent
   */
  public record Limits(
      @Nullable Integer requestsPerMinute,
      @Nullable Integer modelTokensPerHour,
      @Nullable Integer modelTokensPerDay,
      @Nullable ByteSize bytesPerDay,
      @Nullable Integer concurrentStreams) {

    /** All but requests per minute. */
    public Caps caps() {
      return new Caps(
          orNone(modelTokensPerHour),
          orNone(modelTokensPerDay),
          bytesPerDay == null ? 0 : bytesPerDay.bytes(),
          orNone(concurrentStreams));
    }

    private static long orNone(@Nullable Integer limit) {
      return limit == null ? 0 : limit;
    }
  }
}
