package io.valetkey.broker.stop;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopRestore.Knowledge;
import io.valetkey.broker.stop.StopWitness.Kept;
import io.valetkey.broker.stop.StopWitness.Testimony;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Asks the witness before anything is served, and tells it what changes. No order waits for it: it
 * is told afterwards, as often as it takes, on a thread of its own.
 */
public final class WitnessKeeper implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(WitnessKeeper.class);
  private static final Duration LOOK = Duration.ofSeconds(1);
  private static final Duration SAY_AGAIN = Duration.ofSeconds(10);

  private final StopWitness witness;
  private final StopView view;
  private final StopRestore restore;
  private final boolean writes;
  private final boolean required;
  private final Semaphore news = new Semaphore(0);
  private final Thread thread;
  private volatile @Nullable HistoryPoint told;
  private volatile long behindSinceNanos;
  private volatile boolean behind;
  private volatile boolean asked;

  /**
   * Makes a keeper that has asked nothing yet.
   *
   * @param writes whether this replica tells the witness, or only asks it
   * @param required whether nothing may be served before the witness has answered
   */
  public WitnessKeeper(
      StopWitness witness, StopView view, StopRestore restore, boolean writes, boolean required) {
    this.witness = witness;
    this.view = view;
    this.restore = restore;
    this.writes = writes;
    this.required = required;
    this.thread = Thread.ofVirtual().name("stop-witness").unstarted(this::run);
    view.onChange(change -> changed());
  }

  private void changed() {
    if (!behind) {
      behindSinceNanos = System.nanoTime();
      behind = true;
    }
    news.release();
  }

  /**
   * Puts back what the witness knows and the database has forgotten. Waits until the witness
   * answers, unless it need not be heard.
   *
   * @throws IllegalStateException if interrupted while waiting
   */
  public void askBeforeServing() {
    long saidNanos = 0;
    while (!asked) {
      try {
        ask();
      } catch (RefusedException e) {
        if (!required) {
          log.warn("Starting without the witness of stops: {}", e.detail());
          break;
        }
        if (saidNanos == 0 || System.nanoTime() - saidNanos > SAY_AGAIN.toNanos()) {
          saidNanos = System.nanoTime();
          log.error(
              "Nothing is served before the witness of stops has answered: {}. If you know that the"
                  + " database is not a restored backup, valetkey.stop.witness.required=false starts"
                  + " without it",
              e.detail());
        }
        sleep();
      }
    }
    thread.start();
  }

  private static void sleep() {
    try {
      Thread.sleep(LOOK);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for the witness of stops", e);
    }
  }

  private Optional<Kept> ask() {
    Optional<Kept> kept = witness.read();
    if (kept.isPresent()) {
      Testimony testimony = kept.get().testimony();
      if (testimony != null) {
        var _ =
            restore.putBack(
                new Knowledge(testimony.point(), testimony.inForce(), false, "witness"));
      } else if (!asked) {
        throw new RefusedException(ProblemCode.TEMPORARILY_UNAVAILABLE, "what it held was deleted");
      }
    }
    asked = true;
    return kept;
  }

  private void run() {
    try {
      while (true) {
        var _ = news.tryAcquire(LOOK.toMillis(), TimeUnit.MILLISECONDS);
        news.drainPermits();
        try {
          look();
        } catch (RefusedException e) {
          log.debug("The witness of stops has to wait: {}", e.detail());
        } catch (RuntimeException e) {
          log.error("Telling the witness of stops failed once", e);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void look() {
    if (!asked) {
      var _ = ask();
    }
    HistoryPoint now = view.seen();
    if (now == null || now.equals(told)) {
      return;
    }
    if (!writes) {
      done(now);
      return;
    }
    // Whoever overwrites a testimony must have seen that the database holds what it says.
    Optional<Kept> kept = ask();
    if (isNewer(kept, now) || tell(now, kept.map(Kept::version).orElse(0))) {
      done(now);
    }
  }

  private static boolean isNewer(Optional<Kept> kept, HistoryPoint now) {
    Testimony testimony = kept.map(Kept::testimony).orElse(null);
    return testimony != null && testimony.point().epoch() >= now.epoch();
  }

  private boolean tell(HistoryPoint now, int version) {
    List<StopOrder> inForce =
        view.known().stream()
            .filter(stop -> stop.endedAt() == null)
            .filter(stop -> stop.target().kind() != StopTarget.Kind.TOKEN)
            .toList();
    return witness.write(new Testimony(now, inForce), version);
  }

  private void done(HistoryPoint now) {
    told = now;
    if (now.equals(view.seen())) {
      behind = false;
    }
  }

  /**
   * For how long the witness has not known what this replica knows, in milliseconds; 0 if it does.
   */
  public long behindMillis() {
    return behind ? (System.nanoTime() - behindSinceNanos) / 1_000_000 : 0;
  }

  /** Whether the witness has been heard since the start. */
  public boolean hasBeenHeard() {
    return asked;
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
