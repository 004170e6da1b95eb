package io.valetkey.broker.evidence;

import io.valetkey.broker.audit.Seal;
import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.evidence.Checkpoint.Head;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * SHA-256 over seals in the order of their positions: of each the position, writer, first and last
 * number, first and last time in microseconds, each in eight bytes, the leaves and the hash.
 */
final class SealDigest {

  /** A checkpoint of a busy minute must stay a small document. */
  private static final int MOST_HEADS = 1_000;

  private final MessageDigest digest = Sha256.digest();
  private final Map<Long, Head> heads = new LinkedHashMap<>();
  private boolean headsComplete = true;
  private long seals;
  private long records;

  void add(Seal seal) {
    ByteBuffer numbers = ByteBuffer.allocate(6 * Long.BYTES);
    numbers.putLong(seal.position()).putLong(seal.writer());
    numbers.putLong(seal.firstSeq()).putLong(seal.lastSeq());
    numbers.putLong(Seal.micros(seal.firstTime())).putLong(Seal.micros(seal.lastTime()));
    digest.update(numbers.array());
    digest.update(seal.leaves());
    digest.update(seal.hash());
    seals++;
    records += seal.records();
    if (heads.containsKey(seal.writer()) || heads.size() < MOST_HEADS) {
      String hash = HexFormat.of().formatHex(seal.hash());
      heads.put(seal.writer(), new Head(seal.writer(), seal.lastSeq(), hash));
    } else {
      headsComplete = false;
    }
  }

  long seals() {
    return seals;
  }

  long records() {
    return records;
  }

  List<Head> heads() {
    return List.copyOf(heads.values());
  }

  boolean headsComplete() {
    return headsComplete;
  }

  /** The digest in hexadecimal; nothing may be added after it. */
  String finish() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
