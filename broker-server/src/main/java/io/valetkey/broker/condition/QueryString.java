package io.valetkey.broker.condition;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A query string that every reader understands alike: parameters between {@code &}, no name twice,
 * percent triplets of UTF-8 without control characters. Whatever else there is makes it unreadable.
 *
 * @param values the decoded values by decoded name; a parameter without {@code =} has an empty one
 * @param ambiguous the names of those whose value has a {@code +}, which is a space to some readers
 *     and itself to others; their values have it as it stands
 */
record QueryString(Map<String, String> values, Set<String> ambiguous) {

  private static final QueryString EMPTY = new QueryString(Map.of(), Set.of());
  private static final String NOT_IN_QUERY = "#\\;\"<>`{}|^";

  /**
   * Reads it.
   *
   * @return null if it has no one reading
   */
  static @Nullable QueryString parse(@Nullable String raw) {
    if (raw == null || raw.isEmpty()) {
      return EMPTY;
    }
    Map<String, String> values = new LinkedHashMap<>();
    Set<String> ambiguous = new HashSet<>();
    int start = 0;
    while (start <= raw.length()) {
      int end = raw.indexOf('&', start);
      end = end < 0 ? raw.length() : end;
      int equals = raw.indexOf('=', start);
      equals = equals < 0 || equals > end ? end : equals;
      String rawName = raw.substring(start, equals);
      String rawValue = equals == end ? "" : raw.substring(equals + 1, end);
      String name = rawName.indexOf('+') >= 0 ? null : decode(rawName);
      String value = decode(rawValue);
      if (name == null || name.isEmpty() || value == null) {
        return null;
      }
      if (values.put(name, value) != null) {
        return null;
      }
      if (rawValue.indexOf('+') >= 0) {
        ambiguous.add(name);
      }
      start = end + 1;
    }
    return new QueryString(values, ambiguous);
  }

  private static @Nullable String decode(String raw) {
    byte[] bytes = new byte[raw.length()];
    int length = 0;
    for (int i = 0; i < raw.length(); i++) {
      char c = raw.charAt(i);
      if (c <= ' ' || c >= 0x7f || NOT_IN_QUERY.indexOf(c) >= 0) {
        return null;
      }
      int octet = c;
      if (c == '%') {
        octet = octet(raw, i + 1);
        if (octet < 0) {
          return null;
        }
        i += 2;
      }
      bytes[length++] = (byte) octet;
    }
    try {
      String text =
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, 0, length)).toString();
      return text.chars().anyMatch(Character::isISOControl) ? null : text;
    } catch (CharacterCodingException e) {
      return null;
    }
  }

  private static int octet(String raw, int at) {
    if (at + 2 > raw.length()) {
      return -1;
    }
    int high = hex(raw.charAt(at));
    int low = hex(raw.charAt(at + 1));
    return high < 0 || low < 0 ? -1 : high << 4 | low;
  }

  private static int hex(char c) {
    // Not Character.digit alone: it takes digits of all scripts.
    return c < 0x7f ? Character.digit(c, 16) : -1;
  }
}
