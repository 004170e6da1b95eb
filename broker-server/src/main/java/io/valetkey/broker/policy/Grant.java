package io.valetkey.broker.policy;

import java.time.Instant;
import java.util.List;

/**
 * A grant as the decision uses it.
 *
 * @param name its name
 * @param destination the destination's name
 * @param scopes the names of the granted scopes
 * @param requestsPerMinute the limit; 0 for none
 * @param expiresAtSecond when it ends, in seconds since the epoch; {@link Long#MAX_VALUE} for never
 */
public record Grant(
    String name,
    String destination,
    List<String> scopes,
    int requestsPerMinute,
    long expiresAtSecond) {

  static Grant compile(String name, GrantSpec spec) {
    GrantSpec.Limits limits = spec.limits();
    Integer perMinute = limits == null ? null : limits.requestsPerMinute();
    Instant end = spec.expiresAt();
    return new Grant(
        name,
        spec.destination(),
        List.copyOf(spec.scopes()),
        perMinute == null ? 0 : perMinute,
        end == null ? Long.MAX_VALUE : end.getEpochSecond());
  }

  /** Whether it has ended at this time. */
  public boolean expiredAt(Instant time) {
    return time.getEpochSecond() >= expiresAtSecond;
  }
}
