package io.valetkey.broker.evidence;

import java.util.Locale;

/**
 * Something that is not as it was written.
 *
 * @param kind what is wrong
 * @param place where: {@code <writer>.<seq>} of a record as the audit list shows it, {@code
 *     <writer>.<first>-<last>} of a batch, or {@code checkpoint <number>}
 * @param detail one sentence for a person
 */
public record Finding(Kind kind, String place, String detail) {

  /** What can be wrong. */
  public enum Kind {
    /** The record is there and holds something else. */
    RECORD_CHANGED,
    /** The record is not there. */
    RECORD_REMOVED,
    /** The record stands where another was written. */
    RECORD_MOVED,
    /** The record was not written by a broker. */
    RECORD_INSERTED,
    /** A batch does not follow from the one before: one of the two was rewritten or removed. */
    CHAIN_BROKEN,
    /** What was sealed in the time of this checkpoint is not what it signed. */
    TRAIL_REWRITTEN,
    /** The writer's records end before the place that a checkpoint signed. */
    TAIL_CUT,
    /** A checkpoint is not there. */
    CHECKPOINT_REMOVED,
    /** A checkpoint is not signed by the expected key, or does not follow from the one before. */
    CHECKPOINT_FORGED,
    /** The database does not hold a checkpoint that was seen before: it is an older one. */
    ROLLED_BACK;

    /** The word in the API. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }
}
