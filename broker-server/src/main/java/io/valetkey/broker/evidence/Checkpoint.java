package io.valetkey.broker.evidence;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a checkpoint states: the payload of its JWS. Hashes are SHA-256 in hexadecimal.
 *
 * @param schema {@value #SCHEMA}
 * @param number one more than that of the checkpoint before
 * @param time when it was made, in UTC
 * @param previous the hash of the JWS before; null for the first
 * @param after speaks of the seals behind this position
 * @param upto and up to this one
 * @param seals how many there are
 * @param records how many records they speak of
 * @param digest over all of these seals ({@link SealDigest})
 * @param heads the last seal of each writer among them
 * @param headsComplete whether all writers are listed; the digest speaks of all anyway
 * @param sealedSince older records have no evidence
 * @param dropped what was dropped because of its age, if anything ever was
 */
record Checkpoint(
    String schema,
    long number,
    Instant time,
    @Nullable String previous,
    long after,
    long upto,
    long seals,
    long records,
    String digest,
    List<Head> heads,
    @JsonProperty("heads_complete") boolean headsComplete,
    @JsonProperty("sealed_since") Instant sealedSince,
    @Nullable Dropped dropped) {

  static final String SCHEMA = "valetkey.audit.checkpoint/1";

  /** The last seal of a writer: the number of its last record, and its hash. */
  record Head(long writer, long seq, String hash) {}

  /**
   * What is gone on purpose.
   *
   * @param before records of days that ended before this
   * @param upto the seals up to this position
   * @param checkpoint the checkpoints up to this number
   * @param hash the hash of that checkpoint's JWS, from which the rest goes on
   * @param writer no writer with a higher number had a seal among them
   */
  record Dropped(Instant before, long upto, long checkpoint, String hash, long writer) {}
}
