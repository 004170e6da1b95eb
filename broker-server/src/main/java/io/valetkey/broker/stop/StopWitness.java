package io.valetkey.broker.stop;

import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A place outside the database that remembers which stops are in force, so that a backup of the
 * database cannot bring anybody back. It holds no secret.
 */
public interface StopWitness {

  /**
   * What is remembered.
   *
   * @param point the place in the history of stops that it speaks of
   * @param inForce the stops in force there, those of single tokens apart
   */
  record Testimony(HistoryPoint point, List<StopOrder> inForce) {

    /** Copies the list. */
    public Testimony {
      inForce = List.copyOf(inForce);
    }
  }

  /**
   * What the witness holds.
   *
   * @param testimony the testimony, or null if it was deleted
   * @param version which one it is, for {@link #write}
   */
  record Kept(@Nullable Testimony testimony, int version) {}

  /**
   * Reads the newest testimony. Blocks for a bounded time.
   *
   * @return empty if nothing was ever written there
   * @throws RefusedException if that cannot be known
   */
  Optional<Kept> read();

  /**
   * Replaces the testimony of a version; 0 if there is none yet.
   *
   * @return false if somebody else was quicker
   * @throws RefusedException if it was not written, or nobody knows
   */
  boolean write(Testimony testimony, int version);
}
