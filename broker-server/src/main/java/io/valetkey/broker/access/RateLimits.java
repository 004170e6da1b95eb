package io.valetkey.broker.access;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * Token buckets, one for each verified agent or sender, in the memory of this replica: a full
 * minute's worth may be used at once, and comes back evenly. Limits of grants are {@link
 * io.valetkey.broker.limit.GrantRates}.
 */
public final class RateLimits {

  private static final double NANOS_PER_MINUTE = 60e9;
  private static final int REVOCATIONS_PER_MINUTE = 60;
  private static final int APPROVALS_PER_MINUTE = 300;

  private final int tokensPerMinute;
  private final boolean limiting;
  private final LongSupplier nanoTime;
  private final Cache<String, Bucket> buckets =
      Caffeine.newBuilder().expireAfterAccess(Duration.ofMinutes(2)).maximumSize(1_000_000).build();

  /**
   * Makes limits without any use so far.
   *
   * @param tokensPerMinute how many access tokens one agent may ask this replica for per minute
   * @param nanoTime a monotonic clock, as {@link System#nanoTime()}
   */
  public RateLimits(int tokensPerMinute, LongSupplier nanoTime) {
    this(tokensPerMinute, true, nanoTime);
  }

  private RateLimits(int tokensPerMinute, boolean limiting, LongSupplier nanoTime) {
    this.tokensPerMinute = tokensPerMinute;
    this.limiting = limiting;
    this.nanoTime = nanoTime;
  }

  /** Limits that are never used up, for rehearsals. */
  static RateLimits none() {
    return new RateLimits(0, false, System::nanoTime);
  }

  int tokensPerMinute() {
    return tokensPerMinute;
  }

  /**
   * Whether the agent may revoke one more token now: each revocation is an order to every replica,
   * and a loop of them must not starve the others.
   */
  public boolean takeRevocation(String agent) {
    return take("revoke:" + agent, REVOCATIONS_PER_MINUTE);
  }

  /**
   * Whether one more signal may be taken in now: each leaves a row and a record.
   *
   * @param key the sender, or the sender and the agent
   */
  public boolean takeSignal(String key, int perMinute) {
    return take("signal:" + key, perMinute);
  }

  /**
   * Whether the agent may ask about an approval, or for one, once more now: each is a question to
   * the database.
   */
  public boolean takeApproval(String agent) {
    return take("approval:" + agent, APPROVALS_PER_MINUTE);
  }

  /** Takes one, if there is one left. A limit of 0 is no limit. */
  boolean take(String key, int perMinute) {
    if (perMinute == 0 || !limiting) {
      return true;
    }
    return buckets.get(key, k -> new Bucket(perMinute, nanoTime.getAsLong())).take(perMinute);
  }

  private final class Bucket {

    private double left;
    private long filledAt;

    Bucket(int perMinute, long now) {
      this.left = perMinute;
      this.filledAt = now;
    }

    synchronized boolean take(int perMinute) {
      long now = nanoTime.getAsLong();
      left = Math.min(perMinute, left + (now - filledAt) / NANOS_PER_MINUTE * perMinute);
      filledAt = now;
      if (left < 1) {
        return false;
      }
      left -= 1;
      return true;
    }
  }
}
