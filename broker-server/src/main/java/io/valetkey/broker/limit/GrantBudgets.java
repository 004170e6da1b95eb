package io.valetkey.broker.limit;

import io.valetkey.broker.limit.GrantRates.Answer;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;

/**
 * The {@linkplain Budget budgets} of each grant, over all replicas. Replicas lease a part of what
 * is left, ahead of the need, and serve while they have some of it; what a request has cost is
 * charged when that is known. So no request waits for the database, and more than the budget is
 * used only by requests that were on their way when it was used up, and by the few that a replica
 * lets through while its first answer is on its way.
 */
public final class GrantBudgets {

  private static final int FIRST_GUESS = 4;
  private static final int BATCH = 500;

  private final LongSupplier nanoTime;
  private final Map<Budget, Map<String, Share>> shares = new EnumMap<>(Budget.class);
  private final ConcurrentLinkedQueue<Share> asking = new ConcurrentLinkedQueue<>();
  private final LongAdder unknown = new LongAdder();
  private final LongAdder usedUp = new LongAdder();
  private final LongAdder read = new LongAdder();
  private final LongAdder estimated = new LongAdder();
  private volatile Runnable wake = () -> {};
  private volatile int sharers = FIRST_GUESS;

  /**
   * Makes budgets of which nothing is known yet. They are given nothing before {@link LimitRounds}
   * carries for them.
   *
   * @param nanoTime a monotonic clock, as {@link System#nanoTime()}
   */
  public GrantBudgets(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    for (Budget budget : Budget.values()) {
      shares.put(budget, new ConcurrentHashMap<>());
    }
  }

  /**
   * Requires that no window of the grant is used up. Takes nothing. Never waits.
   *
   * @throws RefusedException {@link ProblemCode#BUDGET_EXCEEDED} if one is, {@link
   *     ProblemCode#LIMITS_UNAVAILABLE} if nobody knows in time
   */
  public void requireLeft(String grant, Caps caps) {
    require(grant, Budget.MODEL_TOKENS_PER_HOUR, caps.modelTokensPerHour());
    require(grant, Budget.MODEL_TOKENS_PER_DAY, caps.modelTokensPerDay());
    require(grant, Budget.BYTES_PER_DAY, caps.bytesPerDay());
  }

  /**
   * Begins a request: takes one of the streams, if they are bounded. Never waits.
   *
   * @return what its cost is told to; its end must be told too
   * @throws RefusedException {@link ProblemCode#RATE_LIMITED} if as many are open as may be, {@link
   *     ProblemCode#LIMITS_UNAVAILABLE} if nobody knows in time
   */
  public GrantMeter begin(String grant, Caps caps) {
    require(grant, Budget.CONCURRENT_STREAMS, caps.concurrentStreams());
    return new GrantMeter(this, grant, caps);
  }

  private void require(String grant, Budget budget, long cap) {
    if (cap == 0) {
      return;
    }
    while (true) {
      Share share = share(grant, budget, cap);
      Answer answer = share.admit(cap);
      if (answer == null) {
        continue;
      }
      switch (answer) {
        case TAKEN -> {}
        case USED_UP -> {
          usedUp.increment();
          throw usedUp(share);
        }
        case UNKNOWN -> {
          unknown.increment();
          throw new RefusedException(
              ProblemCode.LIMITS_UNAVAILABLE,
              "What is left of limits." + budget.field() + " of grant " + grant + " is unknown");
        }
      }
      return;
    }
  }

  private static RefusedException usedUp(Share share) {
    String limit = "limits." + share.budget().field() + " of grant " + share.grant();
    return share.budget().isOpen()
        ? new RefusedException(ProblemCode.RATE_LIMITED, limit + " are all open")
        : new RefusedException(
            ProblemCode.BUDGET_EXCEEDED, limit + " is used up", share.secondsLeft());
  }

  private Share share(String grant, Budget budget, long cap) {
    Map<String, Share> ofBudget = of(budget);
    Share known = ofBudget.get(grant);
    return known != null
        ? known
        : ofBudget.computeIfAbsent(
            grant, name -> new Share(name, budget, cap, nanoTime, () -> sharers, this::ask));
  }

  private Map<String, Share> of(Budget budget) {
    Map<String, Share> ofBudget = shares.get(budget);
    if (ofBudget == null) {
      throw new IllegalStateException("no such budget");
    }
    return ofBudget;
  }

  private void ask(Share share) {
    asking.add(share);
    wake.run();
  }

  void charge(String grant, Budget budget, long cap, long amount) {
    if (cap == 0 || amount <= 0) {
      return;
    }
    boolean charged = false;
    while (!charged) {
      charged = share(grant, budget, cap).charge(amount);
    }
  }

  /** One of the streams has ended. What is open is never forgotten. */
  void close(String grant, long cap) {
    share(grant, Budget.CONCURRENT_STREAMS, cap).close();
  }

  void counted(long modelTokens, boolean wereRead) {
    (wereRead ? read : estimated).add(modelTokens);
  }

  /** How many requests were refused because a budget was used up. */
  public double usedUp() {
    return usedUp.sum();
  }

  /** How many requests were refused because nobody knew in time what was left. */
  public double unknown() {
    return unknown.sum();
  }

  /** How many model tokens were charged as upstreams stated them. */
  public double read() {
    return read.sum();
  }

  /** How many model tokens were charged by the size of what went through. */
  public double estimated() {
    return estimated.sum();
  }

  /** Of how many budgets this replica knows something. */
  public int size() {
    return shares.values().stream().mapToInt(Map::size).sum();
  }

  /** Says how to ask for a round soon. Called once, before anything else. */
  void onNews(Runnable caller) {
    wake = caller;
  }

  /**
   * Once a second at least: looks for what is idle or runs out.
   *
   * @return whether there is something to be said to the database now
   */
  boolean look() {
    for (Map<String, Share> ofBudget : shares.values()) {
      ofBudget.values().removeIf(Share::rest);
    }
    return !asking.isEmpty();
  }

  /**
   * Says and hears everything there is.
   *
   * @throws SQLException if the database does not answer; then what was said counts as not heard
   */
  void exchange(Connection connection) throws SQLException {
    while (!asking.isEmpty()) {
      List<Share> batch = new ArrayList<>();
      for (Share share = asking.poll(); share != null; share = asking.poll()) {
        batch.add(share);
        if (batch.size() == BATCH) {
          break;
        }
      }
      // In one order everywhere, so that replicas do not lock rows crosswise.
      batch.sort(Comparator.comparing(Share::grant).thenComparing(Share::budget));
      List<BudgetRows.Ask> asks = batch.stream().map(Share::ask).toList();
      long sent = nanoTime.getAsLong();
      List<BudgetRows.Given> answers;
      try {
        answers = BudgetRows.take(connection, asks);
      } catch (SQLException e) {
        batch.forEach(Share::unheard);
        throw e;
      }
      for (int i = 0; i < batch.size(); i++) {
        sharers = answers.get(i).sharers();
        batch.get(i).heard(asks.get(i), answers.get(i), sent);
      }
    }
  }

  /** The database could not be reached: nothing more may be given out on its behalf. */
  void failed() {
    asking.clear();
    all().forEach(Share::unheard);
  }

  /** This replica ends: prepares to give back what it holds. */
  void leave() {
    all().forEach(Share::giveBack);
  }

  private List<Share> all() {
    return shares.values().stream().flatMap(ofBudget -> ofBudget.values().stream()).toList();
  }
}
