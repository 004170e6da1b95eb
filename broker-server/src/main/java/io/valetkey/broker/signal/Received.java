package io.valetkey.broker.signal;

import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What became of a signal.
 *
 * @param id its id in the timeline, and of its audit record
 * @param agent whom it was about; null if that is not known
 * @param action what was done
 * @param stop the stop that is in force because of it, if it stops
 */
public record Received(UUID id, @Nullable String agent, Action action, @Nullable UUID stop) {

  /** What was done. */
  public enum Action {
    MARKED,
    STOPPED,
    UNMAPPED;

    /** The word on the wire and in the database. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
