package io.valetkey.broker.lease;

import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A piece of work that is done again and again on a thread of its own: at least once per interval,
 * and at once when woken. Whatever goes wrong in one round, there is a next one.
 */
final class Rounds implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Rounds.class);

  /** One round. */
  interface Work {
    void round() throws InterruptedException;
  }

  private final String name;
  private final Duration interval;
  private final Work work;
  private final Semaphore wakes = new Semaphore(0);
  private final Thread thread;
  private volatile boolean running = true;

  Rounds(String name, Duration interval, Work work) {
    this.name = name;
    this.interval = interval;
    this.work = work;
    this.thread = Thread.ofPlatform().name(name).daemon().unstarted(this::run);
  }

  void start() {
    thread.start();
  }

  /** Begins a round now, or another one after that which is under way. */
  void wake() {
    wakes.release();
  }

  private void run() {
    while (running) {
      try {
        wakes.drainPermits();
        work.round();
        var _ = wakes.tryAcquire(interval.toMillis(), TimeUnit.MILLISECONDS);
      } catch (InterruptedException e) {
        running = false;
      } catch (RefusedException e) {
        log.warn("{} has to wait: {}", name, e.detail());
        pause();
      } catch (RuntimeException | Error e) {
        // Nobody else would do it.
        log.error("{} failed and is tried again", name, e);
        pause();
      }
    }
  }

  private void pause() {
    try {
      Thread.sleep(interval);
    } catch (InterruptedException e) {
      running = false;
    }
  }

  @Override
  public void close() {
    running = false;
    thread.interrupt();
  }
}
