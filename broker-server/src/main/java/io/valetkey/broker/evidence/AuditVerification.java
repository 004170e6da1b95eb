package io.valetkey.broker.evidence;

import java.time.Instant;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a verification found.
 *
 * @param outcome the answer in one word
 * @param since from when on it was verified; later than asked for if sealing or keeping began later
 * @param until until when it was verified; earlier than asked for if the time was not enough: go on
 *     from there
 * @param records how many records were compared with their hash
 * @param checkpoints how many signed checkpoints were checked
 * @param lastCheckpoint the youngest of them; what was written after it is covered by its chain
 *     alone
 * @param trust by which key the checkpoints were checked
 * @param findings what is wrong, at most {@value AuditVerifier#MOST_FINDINGS}
 */
public record AuditVerification(
    Outcome outcome,
    Instant since,
    Instant until,
    long records,
    long checkpoints,
    @Nullable CheckpointRef lastCheckpoint,
    Trust trust,
    List<Finding> findings) {

  /** The answer in one word. */
  public enum Outcome {
    /** All that was asked for was checked and is as it was written. */
    SOUND,
    /** Something is not as it was written. */
    TAMPERED,
    /** Nothing was found so far; the time was not enough for all of it. */
    INCOMPLETE;

    /** The word in the API. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** What the signatures are worth. */
  public enum Trust {
    /** Signed by the key that was given: the owner of the database cannot have made them. */
    CONFIGURED_KEY,
    /**
     * Signed by keys that stand in the database itself: its owner could have replaced everything.
     * Compare with the exported checkpoints.
     */
    KEYS_OF_THE_TRAIL;

    /** The word in the API. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Names a checkpoint. */
  public record CheckpointRef(long number, Instant time, String hash) {}

  /** Copies the findings. */
  public AuditVerification {
    findings = List.copyOf(findings);
  }
}
