package io.valetkey.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class FreshCacheTest {

  @Test
  void current_whenAnExchangeLandsBetweenLookingAndAsking_startsNoOther() {
    var clock = new InterruptedClock();
    var exchanges = new AtomicInteger();
    FreshCache<Kept> cache =
        new FreshCache<>(
            () -> {
              exchanges.incrementAndGet();
              return CompletableFuture.completedFuture(new Kept(clock.now));
            },
            clock,
            () -> 0);
    Kept old = cache.current();
    clock.now += 90_000; // of 100 s: past the second threshold, so a caller must renew
    Kept[] overtaking = new Kept[1];
    clock.atNextLook = () -> overtaking[0] = cache.current();
    Kept slow = cache.current();
    assertThat(overtaking[0]).isNotSameAs(old);
    assertThat(slow).isSameAs(overtaking[0]);
    assertThat(exchanges).hasValue(2);
  }

  private static final class Kept extends Perishable {
    private final long from;

    Kept(long from) {
      this.from = from;
    }

    @Override
    long obtainedAtMillis() {
      return from;
    }

    @Override
    long expiresAtMillis() {
      return from + 100_000;
    }
  }

  /** Lets another caller by in the moment in which one looks at it. */
  private static final class InterruptedClock extends Clock {
    private long now = 1_000_000;
    private Runnable atNextLook = () -> {};

    @Override
    public long millis() {
      Runnable other = atNextLook;
      atNextLook = () -> {};
      other.run();
      return now;
    }

    @Override
    public Instant instant() {
      return Instant.ofEpochMilli(now);
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }
}
