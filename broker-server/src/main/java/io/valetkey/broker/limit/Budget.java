package io.valetkey.broker.limit;

/**
 * A limit of a grant whose cost is known only afterwards, or that comes back by an end: all but
 * requests per minute.
 */
public enum Budget {
  /** Model tokens within one hour, in UTC. */
  MODEL_TOKENS_PER_HOUR("modelTokensPerHour", 3600),
  /** Model tokens within one day, in UTC. */
  MODEL_TOKENS_PER_DAY("modelTokensPerDay", 86_400),
  /** Bytes of the bodies of requests and answers within one day, in UTC. */
  BYTES_PER_DAY("bytesPerDay", 86_400),
  /** Requests that are open at the same time, WebSockets among them. */
  CONCURRENT_STREAMS("concurrentStreams", 0);

  private final String field;
  private final int windowSeconds;

  Budget(String field, int windowSeconds) {
    this.field = field;
    this.windowSeconds = windowSeconds;
  }

  /** What it is called in the policy. */
  public String field() {
    return field;
  }

  /** After so long it is whole again; 0 if it has no window, because it comes back by itself. */
  public int windowSeconds() {
    return windowSeconds;
  }

  /** Whether it bounds what is open, not what was used. */
  boolean isOpen() {
    return windowSeconds == 0;
  }

  /**
   * The unit in which it is shared: a fiftieth, one at least. That of streams is small because what
   * lies unused at one gateway is missing at another.
   */
  public static long portion(long cap) {
    return Math.max(1, cap / 50);
  }
}
