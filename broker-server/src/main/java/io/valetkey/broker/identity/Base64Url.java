package io.valetkey.broker.identity;

/** The one spelling that bytes have in base64url without padding (RFC 4648 sections 3.5 and 5). */
final class Base64Url {

  private Base64Url() {}

  /** Whether the range is not empty, only {@code [A-Za-z0-9_-]}, and has no stray last bits. */
  static boolean canonical(String text, int from, int to) {
    int rest = (to - from) % 4;
    if (from >= to || rest == 1) {
      return false;
    }
    int last = 0;
    for (int i = from; i < to; i++) {
      last = digit(text.charAt(i));
      if (last < 0) {
        return false;
      }
    }
    return switch (rest) {
      case 2 -> (last & 0b1111) == 0;
      case 3 -> (last & 0b11) == 0;
      default -> true;
    };
  }

  static boolean canonical(String text) {
    return canonical(text, 0, text.length());
  }

  private static int digit(char c) {
    if (c >= 'A' && c <= 'Z') {
      return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
      return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
      return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
  }
}
