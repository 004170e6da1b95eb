package io.valetkey.broker.feed;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Calls every subscriber when another replica committed a change, and at least once per poll
 * interval whether or not a notification arrived. It has a connection and a thread of its own, so
 * that neither a full pool nor slow subscribers elsewhere keep a stop from being seen.
 */
public final class ChangeFeed implements AutoCloseable {

  /** The channel on which every writer of policy, stops and keys notifies. */
  public static final String CHANNEL = "valetkey_change";

  private static final Logger log = LoggerFactory.getLogger(ChangeFeed.class);
  private static final Duration RECONNECT_PAUSE = Duration.ofMillis(250);

  private final Connections connections;
  private final Duration poll;
  private final List<Subscriber> subscribers = new CopyOnWriteArrayList<>();
  private final AtomicBoolean running = new AtomicBoolean();
  private volatile @Nullable Thread thread;
  private volatile boolean healthy = true;

  /** Keeps a view of some table up to date. */
  public interface Subscriber {

    /**
     * Reads what is new, on the feed's own connection. Cheap when nothing is.
     *
     * @throws SQLException if the database did not answer; the feed reconnects and calls again
     */
    void catchUp(Connection connection) throws SQLException;
  }

  /**
   * Makes a feed that is not running yet.
   *
   * @param poll the longest time between two calls of a subscriber while the database answers
   */
  public ChangeFeed(Connections connections, Duration poll) {
    this.connections = connections;
    this.poll = poll;
  }

  /** Adds a subscriber; it is called from the next round on. */
  public void subscribe(Subscriber subscriber) {
    subscribers.add(subscriber);
  }

  /**
   * Calls every subscriber once, on this thread, and then starts to follow. Nothing is served
   * before this returns, because nothing has a view before.
   *
   * @throws SQLException if the database does not answer
   */
  public void start() throws SQLException {
    try (Connection connection = connections.open()) {
      for (Subscriber subscriber : subscribers) {
        subscriber.catchUp(connection);
      }
    }
    running.set(true);
    thread = Thread.ofPlatform().name("change-feed").daemon().start(this::run);
  }

  /** Whether the database answered when it was asked last. */
  public boolean isHealthy() {
    return healthy;
  }

  private void run() {
    while (running.get()) {
      try (Connection connection = connections.open()) {
        follow(connection);
      } catch (SQLException | RuntimeException e) {
        if (running.get() && healthy) {
          healthy = false;
          log.warn("The change feed lost the database and tries again: {}", e.getMessage());
        }
        pause();
      }
    }
  }

  private void follow(Connection connection) throws SQLException {
    try (Statement listen = connection.createStatement()) {
      listen.execute("LISTEN " + CHANNEL);
    }
    PGConnection notifications = connection.unwrap(PGConnection.class);
    while (running.get()) {
      for (Subscriber subscriber : subscribers) {
        subscriber.catchUp(connection);
      }
      if (!healthy) {
        healthy = true;
        log.info("The change feed has the database again");
      }
      notifications.getNotifications((int) poll.toMillis());
    }
  }

  private void pause() {
    try {
      Thread.sleep(RECONNECT_PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      running.set(false);
    }
  }

  /** Stops following. The subscribers' views age from here on. */
  @Override
  public void close() {
    running.set(false);
    Thread follower = thread;
    if (follower != null) {
      follower.interrupt();
    }
  }
}
