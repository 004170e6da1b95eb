package io.valetkey.broker.gateway;

import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/**
 * Every exchange between its authorisation and its end, so that a stop, a withdrawn grant or a
 * disabled agent can end it. An exchange is here before it is authorised: a stop that comes first
 * is seen by the decision, one that comes later finds it here.
 */
public final class LiveExchanges {

  /** One exchange. Two are never equal. */
  public static final class Live {
    private final Caller caller;
    private final Instant started;
    private final Runnable cancel;

    Live(Caller caller, Instant started, Runnable cancel) {
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
  }

  private final Set<Live> live = ConcurrentHashMap.newKeySet();

  Live add(Caller caller, Instant started, Runnable cancel) {
    Live added = new Live(caller, started, cancel);
    live.add(added);
    return added;
  }

  void remove(Live ended) {
    live.remove(ended);
  }

  /**
   * Ends all exchanges that are meant. Safe on any thread; each is cut on its own event loop.
   *
   * @return how many were told to end
   */
  public int cut(Predicate<Live> meant) {
    List<Live> found = live.stream().filter(meant).toList();
    int cut = 0;
    for (Live exchange : found) {
      if (live.remove(exchange)) {
        exchange.cancel.run();
        cut++;
      }
    }
    return cut;
  }

  /** How many there are. */
  public int size() {
    return live.size();
  }
}
