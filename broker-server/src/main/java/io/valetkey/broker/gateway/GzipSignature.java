package io.valetkey.broker.gateway;

/** Notices gzip where none was announced, by its first bytes (RFC 1952 section 2.3). */
final class GzipSignature {

  private static final byte[] FIRST = {0x1f, (byte) 0x8b, 8};

  private int fitting;
  private boolean other;

  /** Whether the body begins like gzip, now that this piece of it is known too. */
  boolean isIn(byte[] piece) {
    for (int i = 0; i < piece.length && !other && fitting < FIRST.length; i++) {
      other = piece[i] != FIRST[fitting];
      fitting++;
    }
    return !other && fitting == FIRST.length;
  }
}
