package io.valetkey.broker.audit;

import java.time.Instant;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Ids of decisions: UUID version 7 (RFC 9562 section 5.7). The time inside is the time of the audit
 * record, which is how a record is found by its decision id without an index of its own.
 */
public final class DecisionId {

  private DecisionId() {}

  /** A new id for a request that arrived at {@code time}. */
  public static UUID at(Instant time) {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    long high = (time.toEpochMilli() << 16) | 0x7000L | (random.nextInt() & 0x0fffL);
    long low = (random.nextLong() & 0x3fffffffffffffffL) | 0x8000000000000000L;
    return new UUID(high, low);
  }

  /** The time inside an id, in milliseconds. */
  public static Instant timeOf(UUID id) {
    return Instant.ofEpochMilli(id.getMostSignificantBits() >>> 16);
  }
}
