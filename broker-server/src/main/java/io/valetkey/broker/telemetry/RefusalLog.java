package io.valetkey.broker.telemetry;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One line for each request that was not served, in names that are our own. A flood of refusals
 * makes a bounded number of lines, and the next one says how many are missing; the audit trail has
 * all of them.
 */
final class RefusalLog {

  static final int PER_SECOND = 20;

  private static final Logger log = LoggerFactory.getLogger(RefusalLog.class);
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  private final AtomicLong windowBegan = new AtomicLong(System.nanoTime());
  private final AtomicLong lines = new AtomicLong();

  void add(EndedRequest request) {
    long now = System.nanoTime();
    long began = windowBegan.get();
    if (now - began >= SECOND && windowBegan.compareAndSet(began, now)) {
      long missing = lines.getAndSet(0) - PER_SECOND;
      if (missing > 0) {
        log.warn("{} more requests were not served; the audit trail has them", missing);
      }
    }
    if (lines.incrementAndGet() <= PER_SECOND) {
      write(request);
    }
  }

  private static void write(EndedRequest request) {
    try (var scope = DecisionScope.of(request.decisionId())) {
      var line = request.failed() ? log.atWarn() : log.atInfo();
      line.addKeyValue("agent", String.valueOf(request.agent()))
          .addKeyValue("destination", String.valueOf(request.destination()))
          .log(
              "{} {}: {}, agent {}, destination {}, decision {}",
              request.action(),
              request.outcome(),
              request.reason() == null ? "none" : request.reason().code(),
              request.agent(),
              request.destination(),
              scope.decisionId());
    }
  }
}
