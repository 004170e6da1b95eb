package io.valetkey.client;

/**
 * The spelling of a compact JWS (RFC 7515 §3.1): what may travel in a form or a header. Says
 * nothing about signatures; those are the broker's and the gateway's to check.
 */
final class CompactJws {
  /** The broker and the gateway refuse longer ones. */
  static final int MAX_LENGTH = 16 * 1024;

  private CompactJws() {}

  static boolean isWellFormed(String text) {
    if (text.length() > MAX_LENGTH) {
      return false;
    }
    int dots = 0;
    int segment = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '.') {
        if (segment == 0) {
          return false;
        }
        dots++;
        segment = 0;
      } else if (isBase64Url(c)) {
        segment++;
      } else {
        return false;
      }
    }
    return dots == 2 && segment > 0;
  }

  private static boolean isBase64Url(char c) {
    return (c >= 'A' && c <= 'Z')
        || (c >= 'a' && c <= 'z')
        || (c >= '0' && c <= '9')
        || c == '-'
        || c == '_';
  }
}
