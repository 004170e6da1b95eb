package io.valetkey.broker.audit;

import io.valetkey.broker.crypto.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;

/**
 * What was written about one batch of records of one writer, in the statement that wrote them.
 *
 * @param position its place among all seals; a writer's seals have rising positions
 * @param leaves the hash of each record from {@code firstSeq} to {@code lastSeq}, one after another
 * @param hash over all of that and the hash of the writer's previous seal
 */
@SuppressWarnings("ArrayRecordComponent")
public record Seal(
    long position,
    long writer,
    long firstSeq,
    long lastSeq,
    Instant firstTime,
    Instant lastTime,
    byte[] leaves,
    byte[] hash) {

  /** Bytes of a hash. */
  public static final int HASH = 32;

  private static final byte[] DOMAIN = "valetkey.audit.seal/1".getBytes(StandardCharsets.US_ASCII);
  private static final int FIXED = DOMAIN.length + HASH + 5 * Long.BYTES;

  /** What the hash must be after this hash; 32 zero bytes for the first seal of a writer. */
  public byte[] expectedHash(byte[] previous) {
    return hash(previous, writer, firstSeq, lastSeq, firstTime, lastTime, leaves);
  }

  /** The hash that was written for the record with this number. */
  public byte[] leaf(long seq) {
    int from = (int) (seq - firstSeq) * HASH;
    return Arrays.copyOfRange(leaves, from, from + HASH);
  }

  /** How many records it speaks of. */
  public int records() {
    return (int) (lastSeq - firstSeq + 1);
  }

  static byte[] hash(
      byte[] previous,
      long writer,
      long firstSeq,
      long lastSeq,
      Instant firstTime,
      Instant lastTime,
      byte[] leaves) {
    ByteBuffer buffer = ByteBuffer.allocate(FIXED + leaves.length).put(DOMAIN).put(previous);
    buffer.putLong(writer).putLong(firstSeq).putLong(lastSeq);
    buffer.putLong(micros(firstTime)).putLong(micros(lastTime)).put(leaves);
    return Sha256.of(buffer.array());
  }

  /** A time as it is hashed: microseconds since 1970. */
  public static long micros(Instant time) {
    return ChronoUnit.MICROS.between(Instant.EPOCH, time);
  }
}
