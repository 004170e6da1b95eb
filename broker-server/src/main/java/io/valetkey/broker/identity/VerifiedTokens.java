package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.Sha256;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Identity tokens that passed every check a moment ago. Only verified tokens come in, and each
 * issuer has its own quota, so a flood of bad tokens and a flood of one issuer's good ones push
 * nothing out that is not the flooder's own.
 */
final class VerifiedTokens {

  static final Duration KEEP = Duration.ofSeconds(60);

  private final int perIssuer;
  private final int total;
  private final Map<Fingerprint, Entry> entries = new ConcurrentHashMap<>();
  private final Map<String, ArrayDeque<Entry>> byIssuer = new ConcurrentHashMap<>();
  private final AtomicInteger size = new AtomicInteger();

  VerifiedTokens(int perIssuer, int total) {
    this.perIssuer = perIssuer;
    this.total = total;
  }

  /** All 256 bits of a token's SHA-256; the token's spelling was checked before. */
  record Fingerprint(long a, long b, long c, long d) {

    static Fingerprint of(String token) {
      ByteBuffer hash = ByteBuffer.wrap(Sha256.of(token));
      return new Fingerprint(hash.getLong(), hash.getLong(), hash.getLong(), hash.getLong());
    }
  }

  /** What was verified, when, and under which registration and keys. */
  static final class Entry {

    final Fingerprint fingerprint;
    final VerifiedWorkload workload;
    final TrustedIssuer issuer;
    final long keyGeneration;
    final Instant verifiedAt;

    /** When the platform last vouched for it; never earlier than it was verified. */
    volatile Instant reviewedAt;

    Entry(
        Fingerprint fingerprint,
        VerifiedWorkload workload,
        TrustedIssuer issuer,
        long keyGeneration,
        Instant verifiedAt) {
      this.fingerprint = fingerprint;
      this.workload = workload;
      this.issuer = issuer;
      this.keyGeneration = keyGeneration;
      this.verifiedAt = verifiedAt;
      this.reviewedAt = verifiedAt;
    }

    boolean fresh(Instant now) {
      return !now.isBefore(verifiedAt) && now.isBefore(verifiedAt.plus(KEEP));
    }
  }

  @Nullable Entry find(Fingerprint fingerprint) {
    return entries.get(fingerprint);
  }

  /** Remembers the token, at the expense of the same issuer's oldest if there is no room. */
  void admit(Entry entry) {
    ArrayDeque<Entry> own =
        byIssuer.computeIfAbsent(entry.issuer.name(), name -> new ArrayDeque<>());
    synchronized (own) {
      while (!own.isEmpty()
          && (own.size() >= perIssuer
              || size.get() >= total
              || !own.getFirst().fresh(entry.verifiedAt))) {
        drop(own.removeFirst());
      }
      if (size.get() >= total) {
        return; // full of others' entries: theirs stay
      }
      own.addLast(entry);
      size.incrementAndGet();
      entries.put(entry.fingerprint, entry);
    }
  }

  private void drop(Entry entry) {
    size.decrementAndGet();
    entries.remove(entry.fingerprint, entry);
  }

  void forget(Entry entry) {
    entries.remove(entry.fingerprint, entry);
  }

  int size() {
    return entries.size();
  }
}
