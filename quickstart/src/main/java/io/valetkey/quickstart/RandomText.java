package io.valetkey.quickstart;

import java.security.SecureRandom;
import java.util.HexFormat;

/** Values that nobody can guess, new at each start. */
final class RandomText {

  private static final SecureRandom RANDOM = new SecureRandom();

  private RandomText() {}

  /** 48 hexadecimal digits. */
  static String next() {
    byte[] bytes = new byte[24];
    RANDOM.nextBytes(bytes);
    return HexFormat.of().formatHex(bytes);
  }
}
