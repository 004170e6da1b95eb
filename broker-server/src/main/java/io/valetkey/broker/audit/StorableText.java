package io.valetkey.broker.audit;

/**
 * Text that PostgreSQL can store and gives back unchanged: no NUL and no half of a surrogate pair.
 * A hostile request may hold them.
 */
final class StorableText {

  private static final int REPLACEMENT = 0xfffd;

  private StorableText() {}

  static String of(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (isBad(text.charAt(i))) {
        return text.codePoints()
            .map(c -> isBad(c) ? REPLACEMENT : c)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
      }
    }
    return text;
  }

  /** Of a whole pair {@code codePoints} makes one code point above the surrogates. */
  private static boolean isBad(int c) {
    return c == 0 || (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE);
  }
}
