package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every exchange between its authorisation and its end, so that a stop, a withdrawn grant or a
 * disabled agent can end it. An exchange is here before it is authorised: a stop that comes first
 * is seen by the decision, one that comes later finds it here.
 */
public final class LiveExchanges {

  private static final Logger log = LoggerFactory.getLogger(LiveExchanges.class);
  private static final Duration LONGEST_WAIT = Duration.ofSeconds(1);

  /** Why exchanges are ended from outside. */
  public enum Ending {
    /** A stop, a change of the policy, or the end of this gateway. */
    STOPPED(ProblemCode.STOPPED, "stopped while it ran"),
    /** Nobody knows any more whether it is stopped. */
    STALE(ProblemCode.STOPS_STALE, "the view of stops became older than its bound");

    private final ProblemCode code;
    private final String detail;

    Ending(ProblemCode code, String detail) {
      this.code = code;
      this.detail = detail;
    }

    ProblemCode code() {
      return code;
    }

    String detail() {
      return detail;
    }
  }

  /** One exchange. Two are never equal. */
  public static final class Live {
    private final Caller caller;
    private final Instant started;
    private final Function<Ending, CompletableFuture<?>> cancel;
    private volatile boolean told;

    Live(Caller caller, Instant started, Function<Ending, CompletableFuture<?>> cancel) {
      this.caller = caller;
      this.started = started;
      this.cancel = cancel;
    }

    /** Whose it is, and of which token and destination. */
    public Caller caller() {
      return caller;
    }

    /** When it started. */
    public Instant started() {
      return started;
    }

    /** Whether it was told to end; from then on it passes nothing on. */
    boolean isTold() {
      return told;
    }
  }

  /** Whose exchange goes where. */
  record Way(String agent, String destination) {
    static Way of(Caller caller) {
      return new Way(caller.agent(), caller.destination());
    }
  }

  private final Set<Live> live = ConcurrentHashMap.newKeySet();
  private final Set<Way> used = ConcurrentHashMap.newKeySet();
  private final AtomicLong heldBytes = new AtomicLong();
  private final long mostHeldBytes;

  /** With room for an eighth of the heap in request bodies that are held. */
  public LiveExchanges() {
    this(Runtime.getRuntime().maxMemory() / 8);
  }

  LiveExchanges(long mostHeldBytes) {
    this.mostHeldBytes = mostHeldBytes;
  }

  /**
   * Makes room for a part of a body that is held in memory.
   *
   * @return whether there is room in what all exchanges may hold together
   */
  boolean hold(int bytes) {
    if (heldBytes.addAndGet(bytes) <= mostHeldBytes) {
      return true;
    }
    heldBytes.addAndGet(-bytes);
    return false;
  }

  /** What all exchanges hold together, in bytes. */
  long heldBytes() {
    return heldBytes.get();
  }

  void letGo(long bytes) {
    heldBytes.addAndGet(-bytes);
  }

  Live add(Caller caller, Instant started, Function<Ending, CompletableFuture<?>> cancel) {
    Live added = new Live(caller, started, cancel);
    live.add(added);
    return added;
  }

  void remove(Live ended) {
    live.remove(ended);
  }

  /**
   * Ends all exchanges that are meant. Safe on any thread; each is cut on its own event loop. When
   * this returns none of them passes anything on any more. Waits a moment for the cuts, so that
   * even what an event loop was about to write is over.
   *
   * @return those that were told to end
   */
  public List<Live> end(Predicate<Live> meant, Ending why) {
    List<Live> found = new ArrayList<>();
    for (Live exchange : live.stream().filter(meant).toList()) {
      if (live.remove(exchange)) {
        exchange.told = true;
        found.add(exchange);
      }
    }
    CompletableFuture<?>[] cuts =
        found.stream().map(e -> e.cancel.apply(why)).toArray(CompletableFuture[]::new);
    try {
      CompletableFuture.allOf(cuts).get(LONGEST_WAIT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException e) {
      // Whose event loop is stuck passes nothing on either, and when it goes on it reads "told".
      log.warn("Not every one of {} exchanges was cut within {}", found.size(), LONGEST_WAIT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return found;
  }

  /**
   * Ends all exchanges that are meant because something stopped them.
   *
   * @return how many were told to end
   */
  public int cut(Predicate<Live> meant) {
    return end(meant, Ending.STOPPED).size();
  }

  /** Notes that a request was let through. */
  void used(Caller caller) {
    used.add(Way.of(caller));
  }

  /** The ways that were used since this was asked before. */
  Set<Way> takeUsed() {
    Set<Way> taken = Set.copyOf(used);
    used.removeAll(taken);
    return taken;
  }

  /** How many are open on each way that has any. */
  Map<Way, Long> counts() {
    return live.stream()
        .collect(Collectors.groupingBy(one -> Way.of(one.caller()), Collectors.counting()));
  }

  /** How many there are. */
  public int size() {
    return live.size();
  }
}
