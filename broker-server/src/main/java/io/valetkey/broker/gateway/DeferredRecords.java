package io.valetkey.broker.gateway;

import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records of exchanges that were ended because the database is away. They are written when it is
 * back; a gateway that ends before that takes them with it, and has counted them in its log.
 */
final class DeferredRecords {

  private static final Logger log = LoggerFactory.getLogger(DeferredRecords.class);
  private static final int MOST = 50_000;
  private static final int AT_ONCE = 500;

  private final Queue<Supplier<CompletableFuture<?>>> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicInteger size = new AtomicInteger();
  private final AtomicLong dropped = new AtomicLong();

  /** Keeps a record until it can be written. */
  void add(Supplier<CompletableFuture<?>> write) {
    if (size.incrementAndGet() > MOST) {
      size.decrementAndGet();
      dropped.incrementAndGet();
      return;
    }
    waiting.add(write);
  }

  /** Tries to write some of what waits. What fails waits again. */
  void flush() {
    long lost = dropped.getAndSet(0);
    if (lost > 0) {
      log.error("{} exchanges ended without a record: more than {} waited", lost, MOST);
    }
    for (int i = 0; i < AT_ONCE; i++) {
      Supplier<CompletableFuture<?>> write = waiting.poll();
      if (write == null) {
        return;
      }
      size.decrementAndGet();
      var _ =
          write
              .get()
              .whenComplete((done, failure) -> {
                if (failure != null) {
                  add(write);
                }
              });
    }
  }

  /** How many wait. */
  int size() {
    return size.get();
  }
}
