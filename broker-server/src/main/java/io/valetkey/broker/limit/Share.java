package io.valetkey.broker.limit;

import io.valetkey.broker.limit.GrantRates.Answer;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What this replica has of one budget of one grant: a lease of a part of it, and what of that is
 * used, or open. None of its methods waits for anything but the others.
 */
final class Share {

  /** So long a lease may be used after it was asked for; in the row it lasts a little longer. */
  private static final long KEEP = 15_000_000_000L;

  private static final long RENEW = 5_000_000_000L;
  private static final long SOON_IDLE = 2_000_000_000L;
  private static final long FORGET = 120_000_000_000L;
  private static final long LEAST_PAUSE = 50_000_000L;
  private static final long PAUSE_OF_STREAMS = 250_000_000L;
  private static final long LONGEST_PAUSE = 5_000_000_000L;

  /** Requests with a cost that nobody knows yet, while the first answer is on its way. */
  private static final int MOST_AHEAD = 4;

  private final UUID holder = UUID.randomUUID();
  private final String grant;
  private final Budget budget;
  private final LongSupplier nanoTime;
  private final IntSupplier sharers;
  private final Consumer<Share> asking;
  private long cap;

  /** What was used since this began, or what is open now. */
  private long total;

  /** The total of the last answer. */
  private long heard;

  /** What the total may grow to. */
  private long most;

  private long low;

  /** The least that was left since the last answer. */
  private long slack;

  private int ahead;
  private long askedFor;
  private long usedAt;
  private long emptyUntil;
  private long endsAt;
  private boolean asked;
  private boolean empty;
  private boolean away;
  private boolean forgotten;

  Share(
      String grant,
      Budget budget,
      long cap,
      LongSupplier nanoTime,
      IntSupplier sharers,
      Consumer<Share> asking) {
    this.grant = grant;
    this.budget = budget;
    this.cap = cap;
    this.nanoTime = nanoTime;
    this.sharers = sharers;
    this.asking = asking;
    this.usedAt = nanoTime.getAsLong();
    this.emptyUntil = usedAt;
    this.endsAt = usedAt;
    this.askedFor = usedAt - KEEP;
  }

  String grant() {
    return grant;
  }

  Budget budget() {
    return budget;
  }

  /** Whether a request may go on; of streams it takes one. Null if this was forgotten meanwhile. */
  synchronized @Nullable Answer admit(long limit) {
    if (forgotten) {
      return null;
    }
    long now = nanoTime.getAsLong();
    usedAt = now;
    if (limit != cap) {
      changed(limit, now);
    }
    long left = left(now);
    if (left > 0) {
      take();
      lessens(now);
      return Answer.TAKEN;
    }
    if (now - emptyUntil < 0) {
      return Answer.USED_UP;
    }
    request();
    if (empty && (budget.isOpen() || now - endsAt < 0)) {
      return budget.isOpen() && away ? Answer.UNKNOWN : Answer.USED_UP;
    }
    if (ahead < mostAhead()) {
      ahead++;
      take();
      return Answer.TAKEN;
    }
    return Answer.UNKNOWN;
  }

  private int mostAhead() {
    return budget.isOpen()
        ? Math.clamp(Budget.portion(cap) / sharers.getAsInt(), 1, Integer.MAX_VALUE)
        : MOST_AHEAD;
  }

  private void take() {
    if (budget.isOpen()) {
      total++;
    }
  }

  /** What may still be used of the lease. */
  private long left(long now) {
    return now - askedFor > KEEP ? 0 : Math.max(0, most - total);
  }

  private void changed(long limit, long now) {
    cap = limit;
    most = total;
    empty = false;
    emptyUntil = now;
  }

  /** So much more was used. False if this was forgotten meanwhile. */
  synchronized boolean charge(long amount) {
    if (forgotten) {
      return false;
    }
    total += amount;
    lessens(nanoTime.getAsLong());
    return true;
  }

  private void lessens(long now) {
    long left = left(now);
    slack = Math.min(slack, left);
    if (left <= low) {
      request();
    }
  }

  /** One that was open is so no more. */
  synchronized void close() {
    total--;
  }

  private void request() {
    if (!asked) {
      asked = true;
      asking.accept(this);
    }
  }

  synchronized BudgetRows.Ask ask() {
    long now = nanoTime.getAsLong();
    long idle = now - usedAt;
    long left = left(now);
    boolean busy = idle < SOON_IDLE;
    long portion = Budget.portion(cap);
    boolean more = busy && left <= low;
    // Of what was not needed for a while half goes back: another replica may need it.
    long kept = more ? left : left - slack / 2;
    long want = busy ? Math.max(portion, kept) : idle > KEEP ? 0 : Math.min(portion, left);
    // Given up before it is said, so that it is never used by two.
    most = total + Math.min(left, want);
    return new BudgetRows.Ask(grant, budget, holder, cap, total, heard, want, more);
  }

  synchronized void heard(BudgetRows.Ask ask, BudgetRows.Given given, long sent) {
    long now = nanoTime.getAsLong();
    asked = false;
    away = false;
    ahead = 0;
    heard = ask.total();
    if (ask.cap() != cap) {
      return;
    }
    most = budget.isOpen() ? given.held() : ask.total() + given.held();
    askedFor = sent;
    slack = left(now);
    low = slack / 2;
    long more = budget.isOpen() ? given.held() - ask.total() : given.held();
    if (more > 0) {
      empty = false;
      emptyUntil = now;
    } else if (ask.want() > 0) {
      empty = true;
      long rest = (long) (given.secondsLeft() * 1e9);
      endsAt = now + rest;
      emptyUntil =
          now + (budget.isOpen() ? PAUSE_OF_STREAMS : Math.clamp(rest, LEAST_PAUSE, LONGEST_PAUSE));
    }
  }

  /** What was asked may have been done or not: the total is said again, nothing was given. */
  synchronized void unheard() {
    asked = false;
    away = true;
  }

  /**
   * Says what is not said yet, keeps what is in use, and gives back what nobody uses here.
   *
   * @return whether this can be forgotten
   */
  synchronized boolean rest() {
    long now = nanoTime.getAsLong();
    long idle = now - usedAt;
    long left = left(now);
    boolean unsaid = total != heard;
    boolean open = budget.isOpen() && total > 0;
    boolean inUse = open || (idle < SOON_IDLE && left > 0);
    boolean tooMuch = idle > SOON_IDLE && left > Budget.portion(cap);
    if (unsaid || tooMuch || (inUse && now - askedFor > RENEW)) {
      request();
    } else if (idle > FORGET && left == 0 && !asked && !open) {
      forgotten = true;
    }
    return forgotten;
  }

  synchronized void giveBack() {
    usedAt = nanoTime.getAsLong() - FORGET;
    if (total != heard || left(nanoTime.getAsLong()) > 0) {
      request();
    }
  }

  /** In how many seconds a window that is used up ends; 1 at least. */
  synchronized int secondsLeft() {
    long rest = endsAt - nanoTime.getAsLong();
    return Math.clamp((rest + 999_999_999L) / 1_000_000_000L, 1, 86_400);
  }
}
