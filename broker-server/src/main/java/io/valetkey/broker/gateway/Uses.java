package io.valetkey.broker.gateway;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * Tells first uses, which are records of their own, from repeated ones, which are counted for each
 * agent, destination and rule. What was forgotten counts as a first use again: one record more.
 */
final class Uses {

  private static final int KNOWN = 200_000;
  private static final Duration LONGEST_TOKEN = Duration.ofHours(1);

  private record Use(String jti, String destination, String rule) {}

  private record Counted(String agent, String destination, String rule) {}

  private final Cache<Use, Boolean> known =
      Caffeine.newBuilder().maximumSize(KNOWN).expireAfterWrite(LONGEST_TOKEN).build();
  private final ConcurrentMap<Counted, LongAdder> counts = new ConcurrentHashMap<>();

  boolean isFirst(Caller caller, Permissions.Permit permit) {
    return known.getIfPresent(use(caller, permit)) == null;
  }

  /** Notes that this use is durably on record. */
  void recorded(Caller caller, Permissions.Permit permit) {
    known.put(use(caller, permit), true);
  }

  void count(Caller caller, Permissions.Permit permit) {
    var key = new Counted(caller.agent(), permit.target().name(), permit.rule());
    // Inside compute, so that a flush cannot take the adder away between finding and adding.
    counts.compute(
        key,
        (k, adder) -> {
          LongAdder counter = adder == null ? new LongAdder() : adder;
          counter.increment();
          return counter;
        });
  }

  /** Writes one record for each counter that moved. What cannot be written is counted again. */
  void flush(Trail trail) {
    for (Counted key : counts.keySet()) {
      LongAdder taken = counts.remove(key);
      if (taken != null) {
        write(trail, key, taken.sum());
      }
    }
  }

  private void write(Trail trail, Counted key, long count) {
    var _ =
        trail
            .open()
            .counted(key.agent(), key.destination(), key.rule(), count)
            .whenComplete((done, failure) -> {
              if (failure != null) {
                counts.computeIfAbsent(key, k -> new LongAdder()).add(count);
              }
            });
  }

  private static Use use(Caller caller, Permissions.Permit permit) {
    return new Use(caller.jti(), permit.target().name(), permit.rule());
  }
}
