package io.valetkey.broker.limit;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Requests per minute of each grant, over all replicas. One row of the database has what is used of
 * a grant; replicas take portions of what is left, ahead of the need, and serve from those. So no
 * request waits for the database, and with the database away a replica refuses once its portion is
 * used.
 *
 * <p>More than the limit goes through only by what replicas serve while their first answer is on
 * its way: together at most one {@linkplain #portion portion}, or one request for each replica if
 * they are more. It is charged afterwards, so over time the limit is exact.
 */
public final class GrantRates {

  /** What became of a request. */
  public enum Answer {
    /** It may go on. */
    TAKEN,
    /** The limit is used up for now. */
    USED_UP,
    /** Nobody knows in time whether it is: refuse. */
    UNKNOWN
  }

  private static final int PORTIONS_OF_A_LIMIT = 50;
  private static final int SMALL = 10;

  /** Before the database has said how many there are. */
  private static final int FIRST_GUESS = 4;

  private static final int BATCH = 500;

  private final LongSupplier nanoTime;
  private final Map<String, Portion> portions = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<Portion> asking = new ConcurrentLinkedQueue<>();
  private final LongAdder unknown = new LongAdder();
  private final LongAdder usedUp = new LongAdder();
  private volatile Runnable wake = () -> {};
  private volatile int sharers = FIRST_GUESS;

  /**
   * Makes limits of which nothing is known yet. They are given nothing before {@link LimitRounds}
   * carries for them.
   *
   * @param nanoTime a monotonic clock, as {@link System#nanoTime()}
   */
  public GrantRates(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
  }

  /**
   * The unit in which a limit is shared: a fiftieth of it, ten at least, and never more than all.
   */
  public static int portion(int perMinute) {
    return Math.min(perMinute, Math.max(SMALL, perMinute / PORTIONS_OF_A_LIMIT));
  }

  /** Takes one request of this grant's limit. Never waits. */
  public Answer take(String grant, int perMinute) {
    while (true) {
      Portion portion = portions.get(grant);
      if (portion == null) {
        portion = portions.computeIfAbsent(grant, name -> new Portion(name, perMinute));
      }
      Answer answer = portion.take(perMinute, nanoTime.getAsLong());
      if (answer != null) {
        switch (answer) {
          case TAKEN -> {}
          case USED_UP -> usedUp.increment();
          case UNKNOWN -> unknown.increment();
        }
        return answer;
      }
    }
  }

  /** How many requests were refused because their limit was used up. */
  public double usedUp() {
    return usedUp.sum();
  }

  /** How many requests were refused because nobody knew in time what was left. */
  public double unknown() {
    return unknown.sum();
  }

  /** Of how many grants this replica holds something. */
  public int size() {
    return portions.size();
  }

  /** Says how to ask for a round soon. Called once, before anything else. */
  void onNews(Runnable caller) {
    wake = caller;
  }

  /**
   * Once a second at least: looks for what is idle.
   *
   * @return whether there is something to be said to the database now
   */
  boolean look() {
    long now = nanoTime.getAsLong();
    portions.values().forEach(portion -> portion.rest(now));
    return !asking.isEmpty();
  }

  /**
   * Says and hears everything there is.
   *
   * @throws SQLException if the database does not answer; then what was said counts as not heard
   */
  void exchange(Connection connection) throws SQLException {
    while (!asking.isEmpty()) {
      List<RateRows.Ask> batch = new ArrayList<>();
      for (Portion p = asking.poll(); p != null; p = asking.poll()) {
        batch.add(p.ask());
        if (batch.size() == BATCH) {
          break;
        }
      }
      // In one order everywhere, so that replicas do not lock rows crosswise.
      batch.sort(Comparator.comparing(RateRows.Ask::grant));
      long sent = nanoTime.getAsLong();
      List<RateRows.Given> answers;
      try {
        answers = RateRows.take(connection, batch);
      } catch (SQLException e) {
        batch.forEach(ask -> portion(ask).unheard());
        throw e;
      }
      long now = nanoTime.getAsLong();
      for (int i = 0; i < batch.size(); i++) {
        sharers = answers.get(i).sharers();
        portion(batch.get(i)).heard(batch.get(i), answers.get(i), sent, now);
      }
    }
  }

  /** One that has something asked is never removed. */
  private Portion portion(RateRows.Ask ask) {
    Portion portion = portions.get(ask.grant());
    if (portion == null) {
      throw new IllegalStateException("a portion was forgotten while it was asked for");
    }
    return portion;
  }

  /** The database could not be reached: nothing more may be given out on its behalf. */
  void failed() {
    asking.clear();
    portions.values().forEach(Portion::unheard);
  }

  /** This replica ends: prepares to give back what it holds. */
  void leave() {
    portions.values().forEach(Portion::giveBack);
  }

  /** What this replica has of one grant. */
  private final class Portion {

    /**
     * So long a portion may be used after it was asked for: it shrinks in the row as if it were.
     */
    private static final long KEEP = 15_000_000_000L;

    private static final long SOON_IDLE = 2_000_000_000L;
    private static final long FORGET = 120_000_000_000L;
    private static final long LEAST_PAUSE = 50_000_000L;
    private static final long MINUTE = 60_000_000_000L;

    private final String grant;
    private int perMinute;
    private int left;
    private int low;
    private int owed;
    private int unused;
    private long askedFor;
    private long usedAt = nanoTime.getAsLong();
    private long emptyUntil = usedAt;
    private boolean asked;
    private boolean empty;
    private boolean away;
    private boolean forgotten;

    Portion(String grant, int perMinute) {
      this.grant = grant;
      this.perMinute = perMinute;
    }

    /** Null if this was forgotten meanwhile. */
    synchronized @Nullable Answer take(int limit, long now) {
      if (forgotten) {
        return null;
      }
      usedAt = now;
      if (limit != perMinute) {
        changed(limit, now);
      }
      if (left > 0 && now - askedFor > KEEP) {
        handBack(left);
      }
      if (left > 0) {
        left--;
        if (left <= low && now - emptyUntil >= 0) {
          request();
        }
        return Answer.TAKEN;
      }
      if (now - emptyUntil < 0) {
        return Answer.USED_UP;
      }
      request();
      if (owed < credit()) {
        owed++;
        return Answer.TAKEN;
      }
      return empty && !away ? Answer.USED_UP : Answer.UNKNOWN;
    }

    /** What may be served before the row was asked. */
    private int credit() {
      return empty ? 1 : Math.max(1, portion(perMinute) / sharers);
    }

    private void changed(int limit, long now) {
      perMinute = limit;
      handBack(left);
      empty = false;
      emptyUntil = now;
    }

    private void handBack(int pieces) {
      left -= pieces;
      unused += pieces;
    }

    private void request() {
      if (!asked) {
        asked = true;
        asking.add(this);
        wake.run();
      }
    }

    synchronized RateRows.Ask ask() {
      boolean wanted = nanoTime.getAsLong() - usedAt < SOON_IDLE && left <= low;
      return new RateRows.Ask(grant, perMinute, owed, unused, wanted ? portion(perMinute) : 0);
    }

    synchronized void heard(RateRows.Ask ask, RateRows.Given given, long sent, long now) {
      asked = false;
      away = false;
      owed -= ask.owed();
      unused -= ask.unused();
      if (ask.perMinute() != perMinute) {
        unused += given.pieces();
        return;
      }
      left += given.pieces();
      low = given.pieces() / 2;
      if (given.pieces() > 0) {
        askedFor = sent;
        empty = false;
      } else if (ask.want() > 0) {
        empty = true;
        double missing = Math.max(0, 1 - given.remaining());
        emptyUntil = now + Math.clamp((long) (missing * MINUTE / perMinute), LEAST_PAUSE, MINUTE);
      }
    }

    /** What was asked may have been done or not: what is owed is said again, nothing was given. */
    synchronized void unheard() {
      asked = false;
      away = true;
    }

    /** Gives back what nobody uses here: the large part soon, the last portion after a while. */
    synchronized void rest(long now) {
      long idle = now - usedAt;
      int keep = idle > KEEP ? 0 : portion(perMinute);
      if (idle > SOON_IDLE && left > keep) {
        handBack(left - keep);
      }
      if (idle > FORGET && left == 0 && !asked && owed == 0 && unused == 0) {
        forgotten = true;
        portions.remove(grant, this);
      } else if ((unused > 0 || (owed > 0 && idle > SOON_IDLE)) && !asked) {
        asked = true;
        asking.add(this);
      }
    }

    synchronized void giveBack() {
      handBack(left);
      usedAt = nanoTime.getAsLong() - FORGET;
      if (!asked && (owed > 0 || unused > 0)) {
        asked = true;
        asking.add(this);
      }
    }
  }
}
