package io.valetkey.broker.limit;

import io.valetkey.broker.feed.Connections;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries what limits are used here to the database and brings back what may be used, on a thread
 * and a connection of its own: requests only leave word. A round in which nothing is to be said
 * does not touch the database.
 */
public final class LimitRounds implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(LimitRounds.class);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(1);

  /** What comes within this time of each other goes together. */
  private static final Duration GATHER = Duration.ofMillis(2);

  private static final Duration AFTER_FAILURE = Duration.ofMillis(250);

  private final Connections connections;
  private final GrantRates rates;
  private final GrantBudgets budgets;
  private final Semaphore news = new Semaphore(0);
  private final AtomicBoolean running = new AtomicBoolean(true);
  private final Thread thread;
  private @Nullable Connection connection;
  private boolean away;

  /** Starts to carry for these limits. */
  public LimitRounds(Connections connections, GrantRates rates, GrantBudgets budgets) {
    this.connections = connections;
    this.rates = rates;
    this.budgets = budgets;
    rates.onNews(this::wake);
    budgets.onNews(this::wake);
    this.thread = Thread.ofPlatform().name("limits").daemon().start(this::run);
  }

  private void wake() {
    if (news.availablePermits() == 0) {
      news.release();
    }
  }

  private void run() {
    try {
      while (running.get()) {
        boolean called = news.tryAcquire(LONGEST_PAUSE.toMillis(), TimeUnit.MILLISECONDS);
        if (called) {
          Thread.sleep(GATHER);
        }
        news.drainPermits();
        if (!round()) {
          Thread.sleep(AFTER_FAILURE);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    rates.leave();
    budgets.leave();
    round();
    hangUp();
  }

  /** False if the database could not be asked. */
  private boolean round() {
    try {
      if (rates.look()) {
        rates.exchange(open());
      }
      if (budgets.look()) {
        budgets.exchange(open());
      }
      if (away && connection != null) {
        away = false;
        log.info("Limits are shared with the other replicas again");
      }
      return true;
    } catch (SQLException | RuntimeException e) {
      hangUp();
      rates.failed();
      budgets.failed();
      if (!away) {
        away = true;
        log.warn("Limits cannot be shared; what is limited will be refused: {}", e.getMessage());
      }
      return false;
    }
  }

  private Connection open() throws SQLException {
    Connection current = connection;
    if (current == null) {
      current = connections.open();
      connection = current;
    }
    return current;
  }

  private void hangUp() {
    try (Connection old = connection) {
      connection = null;
    } catch (SQLException e) {
      log.debug("The connection was gone already: {}", e.getMessage());
    }
  }

  /** Gives back what this replica holds, and stops. */
  @Override
  public void close() {
    if (running.compareAndSet(true, false)) {
      wake();
      try {
        thread.join(Duration.ofSeconds(5));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
