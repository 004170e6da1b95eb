package io.valetkey.broker.stop;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * How many exchanges this gateway has ended for each stop since it started. Each exchange is
 * counted once, for one stop. Totals, because a report whose answer was lost is sent again.
 */
public final class CutCounts {

  private final Map<UUID, Long> totals = new HashMap<>();
  private final Set<UUID> unreported = new HashSet<>();

  /** Counts an exchange that was ended for this stop. */
  public synchronized void count(UUID stop) {
    totals.merge(stop, 1L, Long::sum);
    unreported.add(stop);
  }

  /** The totals that have grown since they were reported. */
  synchronized Map<UUID, Long> unreported() {
    Map<UUID, Long> grown = new HashMap<>();
    unreported.forEach(stop -> grown.put(stop, totals.getOrDefault(stop, 0L)));
    return grown;
  }

  /** Notes that these totals are durable. */
  synchronized void reported(Map<UUID, Long> durable) {
    durable.forEach((stop, total) -> {
      if (total.equals(totals.get(stop))) {
        unreported.remove(stop);
      }
    });
  }
}
