package io.valetkey.broker.upstream;

import java.time.Duration;

/**
 * How long credentials stay in memory and how long anybody waits for them.
 *
 * @param ttl how long a value is used without asking its source again; more than zero, at most 5
 *     minutes
 * @param deadline how long a caller waits at most; more than zero, at most 30 seconds
 * @param refreshInterval how long after one fetch of a reference the next one may begin when an
 *     upstream rejected the value or a fetch failed; more than zero, at most the ttl
 * @param maxEntries how many credentials are kept at once, at least 1
 */
public record CredentialSettings(
    Duration ttl, Duration deadline, Duration refreshInterval, int maxEntries) {

  /**
   * The greatest age of a value that is still used, whatever its ttl. A value whose ttl has passed
   * is used up to this age only if its source does not answer: a short outage of Vault then costs
   * nothing, and a credential that was taken away is gone within five minutes in any case.
   */
  public static final Duration MAX_AGE = Duration.ofMinutes(5);

  /**
   * The greatest age of a provider's token, however long the provider says that it lives. Such a
   * token is used until shortly before its end.
   */
  public static final Duration MAX_TOKEN_AGE = Duration.ofHours(1);

  /** Checks the ranges. */
  public CredentialSettings {
    within("ttl", ttl, MAX_AGE);
    within("deadline", deadline, Duration.ofSeconds(30));
    within("refreshInterval", refreshInterval, ttl);
    if (maxEntries < 1) {
      throw new IllegalArgumentException("maxEntries must be at least 1");
    }
  }

  /** One minute, 4 s, 2 s, 4096 entries. */
  public static CredentialSettings defaults() {
    return new CredentialSettings(
        Duration.ofMinutes(1), Duration.ofSeconds(4), Duration.ofSeconds(2), 4096);
  }

  private static void within(String name, Duration value, Duration most) {
    if (value.isZero() || value.isNegative() || value.compareTo(most) > 0) {
      throw new IllegalArgumentException(name + " must be more than zero and at most " + most);
    }
  }
}
