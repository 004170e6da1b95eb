package io.valetkey.broker.gateway;

/**
 * Shortens the strings of a JSON text on its way to a parser, which would keep each of them whole:
 * an answer can be one string of many megabytes. What is shortened stays JSON; what is not JSON
 * stays that.
 */
final class ShortStrings {

  /** In bytes. Longer than every name that anybody looks for. */
  static final int LONGEST = 64;

  private boolean inside;
  private boolean escaped;
  private boolean cutting;
  private int hexDigits;
  private int length;

  /**
   * Takes a piece and gives what is left of it.
   *
   * @param into has room for the whole piece
   * @return how many bytes were put there
   */
  int shorten(byte[] piece, int from, int to, byte[] into) {
    int at = 0;
    for (int i = from; i < to; i++) {
      if (passes(piece[i])) {
        into[at++] = piece[i];
      }
    }
    return at;
  }

  private boolean passes(byte b) {
    if (!inside) {
      inside = b == '"';
      escaped = false;
      cutting = false;
      hexDigits = 0;
      length = 0;
      return true;
    }
    if (escaped) {
      escaped = false;
      hexDigits = b == 'u' ? 4 : 0;
    } else if (hexDigits > 0) {
      hexDigits--;
    } else if (b == '"') {
      inside = false;
      return true;
    } else {
      // Never within a character or an escape.
      cutting |= length >= LONGEST && (b & 0xc0) != 0x80;
      escaped = b == '\\';
    }
    length++;
    return !cutting;
  }
}
