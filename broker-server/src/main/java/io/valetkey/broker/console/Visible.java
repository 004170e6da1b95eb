package io.valetkey.broker.console;

import java.util.Locale;

/**
 * Text of an agent, as somebody has to see it who decides about it: what would be invisible, or
 * would change the order in which the rest is read, stands there as its code point.
 */
final class Visible {

  private Visible() {}

  /** One line: a line break is shown as its code points too. */
  static String line(String text) {
    return shown(text, false);
  }

  /** A text with lines, each of which ends with LF or CRLF. */
  static String text(String text) {
    return shown(text.replace("\r\n", "\n"), true);
  }

  private static String shown(String text, boolean lines) {
    StringBuilder shown = new StringBuilder(text.length());
    text.codePoints()
        .forEach(point -> {
          if (isPlain(point) || (lines && (point == '\n' || point == '\t'))) {
            shown.appendCodePoint(point);
          } else {
            shown.append(String.format(Locale.ROOT, "⟨U+%04X⟩", point));
          }
        });
    return shown.toString();
  }

  private static boolean isPlain(int point) {
    return switch (Character.getType(point)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.PRIVATE_USE,
          Character.SURROGATE,
          Character.UNASSIGNED ->
          false;
      case Character.SPACE_SEPARATOR -> point == ' ';
      default -> true;
    };
  }
}
