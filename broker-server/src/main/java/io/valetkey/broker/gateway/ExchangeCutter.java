package io.valetkey.broker.gateway;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.gateway.LiveExchanges.Ending;
import io.valetkey.broker.gateway.LiveExchanges.Live;
import io.valetkey.broker.stop.CutCounts;
import io.valetkey.broker.stop.StopChange;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends what must not go on: what a stop or a change of the policy has made wrong, and everything as
 * soon as this gateway cannot know any more whether something is stopped. The latter is watched by
 * a thread of its own, which waits for nothing but time.
 */
public final class ExchangeCutter implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(ExchangeCutter.class);
  private static final Duration WATCH = Duration.ofMillis(100);

  private final LiveExchanges live;
  private final Access access;
  private final CutCounts counts;
  private final DeferredRecords deferred;
  private final AtomicLong stopped = new AtomicLong();
  private final AtomicLong stale = new AtomicLong();
  private final Thread watch;
  private boolean begun;
  private boolean away;

  /**
   * Starts to watch.
   *
   * @param counts where exchanges are counted that a stop has ended
   */
  public ExchangeCutter(
      LiveExchanges live, Access access, CutCounts counts, GatewayServer gateway) {
    this.live = live;
    this.access = access;
    this.counts = counts;
    this.deferred = gateway.deferred();
    this.watch = Thread.ofPlatform().name("stop-watch").daemon().start(this::watch);
  }

  /** Ends what these stops end, and counts it for them. */
  public void stopsChanged(StopChange change) {
    for (Live exchange : cutWhatIsWrong()) {
      Caller caller = exchange.caller();
      change
          .endedBy(caller.agent(), caller.issuer(), caller.jti(), caller.destination())
          .ifPresent(counts::count);
    }
  }

  /** Ends what the policy does not allow any more. */
  public void policyChanged() {
    var _ = cutWhatIsWrong();
  }

  /** Ends what was allowed by tokens whose key does not count any more. */
  public void keysRevoked(Predicate<String> counts) {
    var cut = live.end(exchange -> isRevoked(exchange.caller().kid(), counts), Ending.STOPPED);
    stopped.addAndGet(cut.size());
  }

  /** Where a certificate stands in the place of a token, no key of ours has signed anything. */
  private static boolean isRevoked(@Nullable String kid, Predicate<String> counts) {
    return kid != null && !counts.test(kid);
  }

  private List<Live> cutWhatIsWrong() {
    List<Live> cut = live.end(exchange -> !stands(exchange.caller()), Ending.STOPPED);
    stopped.addAndGet(cut.size());
    return cut;
  }

  private boolean stands(Caller caller) {
    return access.stillStands(
        caller.agent(), caller.issuer(), caller.jti(), caller.tokenEpoch(), caller.destination());
  }

  private void watch() {
    try {
      while (true) {
        Thread.sleep(WATCH);
        try {
          look();
        } catch (RuntimeException e) {
          // It must go on: nobody else ends exchanges while the feed hangs.
          log.error("Watching the age of the view of stops failed once", e);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void look() {
    if (access.isCurrent()) {
      begun = true;
      if (away) {
        away = false;
        log.info("The view of stops is fresh again; {} records are written now", deferred.size());
      }
      deferred.flush();
      return;
    }
    int cut = live.end(exchange -> true, Ending.STALE).size();
    stale.addAndGet(cut);
    // Before the first view nothing was served, and nothing is wrong.
    if (begun && (!away || cut > 0)) {
      away = true;
      log.warn("The view of stops is too old: {} open exchanges ended, every request refused", cut);
    }
  }

  /** How many exchanges a stop or a change of the policy has ended here. */
  public long stopped() {
    return stopped.get();
  }

  /** How many exchanges ended because the view of stops was too old. */
  public long stale() {
    return stale.get();
  }

  /** Stops watching. The exchanges must have ended before. */
  @Override
  public void close() {
    watch.interrupt();
  }
}
