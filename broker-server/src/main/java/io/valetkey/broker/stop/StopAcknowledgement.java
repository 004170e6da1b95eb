package io.valetkey.broker.stop;

import io.valetkey.broker.feed.ChangeFeed;
import java.sql.Connection;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * How long stops take to reach every gateway, as this replica reads it: no finer than the feed's
 * poll, and counted from when the stop was seen here. Subscribe it after the view and the census.
 */
public final class StopAcknowledgement implements ChangeFeed.Subscriber {

  /** While so many wait, further ones are not timed: the oldest tells enough. */
  private static final int MOST = 1000;

  private record Waiting(long epoch, long seenNanos) {}

  private final StopView view;
  private final GatewayCensus census;
  private final LongConsumer acknowledgedAfter;
  private final Deque<Waiting> waiting = new ArrayDeque<>();
  private long lastEpoch = -1;
  private volatile @Nullable Waiting oldest;

  /**
   * Makes one that knows of no stop yet.
   *
   * @param acknowledgedAfter is told in nanoseconds how long a change of stops took
   */
  public StopAcknowledgement(StopView view, GatewayCensus census, LongConsumer acknowledgedAfter) {
    this.view = view;
    this.census = census;
    this.acknowledgedAfter = acknowledgedAfter;
  }

  /** For how long the oldest change of stops has not reached every gateway, in seconds. */
  public double oldestSeconds() {
    Waiting first = oldest;
    return first == null ? 0 : (System.nanoTime() - first.seenNanos()) / 1e9;
  }

  @Override
  public void catchUp(Connection connection) {
    long epoch = view.seenEpoch();
    long now = System.nanoTime();
    if (lastEpoch >= 0 && epoch > lastEpoch && waiting.size() < MOST) {
      waiting.add(new Waiting(epoch, now));
    }
    lastEpoch = Math.max(lastEpoch, epoch);
    long reached = census.lowestEpoch();
    while (!waiting.isEmpty() && waiting.peek().epoch() <= reached) {
      acknowledgedAfter.accept(now - waiting.remove().seenNanos());
    }
    oldest = waiting.peek();
  }
}
