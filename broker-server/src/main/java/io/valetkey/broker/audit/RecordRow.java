package io.valetkey.broker.audit;

import io.valetkey.broker.crypto.Sha256;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A record as the database holds it: whatever was written is read back as the same row, so that
 * both give the same hash.
 *
 * @param time in microseconds at most
 * @param texts the columns that are named by {@link #COLUMNS}, in that order; the last is canonical
 *     JSON
 */
public record RecordRow(Instant time, List<@Nullable String> texts) {

  /** The columns beside {@code time}, {@code writer} and {@code seq}. */
  public static final List<String> COLUMNS =
      List.of(
          "decision_id",
          "action",
          "outcome",
          "reason",
          "agent",
          "issuer",
          "subject",
          "destination",
          "scopes",
          "jti",
          "details");

  private static final byte[] DOMAIN = "valetkey.audit/1".getBytes(StandardCharsets.US_ASCII);
  private static final int FIXED = DOMAIN.length + 3 * Long.BYTES;
  private static final int LENGTH = 1 + Integer.BYTES;

  static RecordRow of(AuditRecord record) {
    UUID id = record.decisionId();
    return new RecordRow(
        record.time().truncatedTo(ChronoUnit.MICROS),
        Arrays.asList(
            id.toString(),
            storable(record.action()),
            record.outcome().name().toLowerCase(Locale.ROOT),
            storable(record.reason()),
            storable(record.agent()),
            storable(record.issuer()),
            storable(record.subject()),
            storable(record.destination()),
            storable(record.scopes()),
            storable(record.jti()),
            CanonicalJson.of(record.details())));
  }

  /**
   * A row that was read.
   *
   * @param texts as of {@link #COLUMNS}, {@code details} as PostgreSQL prints it
   */
  public static RecordRow read(Instant time, List<@Nullable String> texts) {
    var canonical = new ArrayList<@Nullable String>(texts);
    String details = texts.getLast();
    canonical.set(texts.size() - 1, details == null ? null : CanonicalJson.ofText(details));
    return new RecordRow(time, canonical);
  }

  /**
   * SHA-256 over a domain, the place in the writer's chain, and each column: a zero byte if it is
   * null, else a one, the length in four bytes and the UTF-8.
   */
  public byte[] hash(long writer, long seq) {
    byte[][] encoded = new byte[texts.size()][];
    int size = FIXED;
    for (int i = 0; i < encoded.length; i++) {
      String text = texts.get(i);
      encoded[i] = text == null ? null : text.getBytes(StandardCharsets.UTF_8);
      size += text == null ? 1 : LENGTH + encoded[i].length;
    }
    ByteBuffer buffer = ByteBuffer.allocate(size).put(DOMAIN);
    buffer.putLong(writer).putLong(seq).putLong(Seal.micros(time));
    for (byte @Nullable [] bytes : encoded) {
      if (bytes == null) {
        buffer.put((byte) 0);
      } else {
        buffer.put((byte) 1).putInt(bytes.length).put(bytes);
      }
    }
    return Sha256.of(buffer.array());
  }

  private static @Nullable String storable(@Nullable String text) {
    return text == null ? null : StorableText.of(text);
  }
}
