package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;

/**
 * What a path has to be where the upstream takes it as bytes, as S3 takes keys. Rules are then
 * prefixes of the bytes, so everything is refused by which a path could leave what it begins with:
 *
 * <ul>
 *   <li>what is not {@code pchar}, {@code ;} or {@code /} of RFC 3986, and invalid percent
 *       triplets,
 *   <li>a segment of nothing but dots and spaces, up to its end or a {@code ;}, {@code ?} or {@code
 *       #}, where {@code \} ends a segment too,
 *   <li>control characters, and bytes that are not shortest-form UTF-8,
 *   <li>the same in what comes out by decoding once, twice and three times; and what could be
 *       decoded a fourth time.
 * </ul>
 *
 * Empty segments, encoded separators and escapes of any spelling pass.
 */
final class RawSegments {

  private static final String OTHER_CHARACTERS = "-._~!$&'()*+,;=:@/";
  private static final int MOST_DECODINGS = 3;

  private RawSegments() {}

  /**
   * The bytes between the slashes.
   *
   * @throws RefusedException with {@link ProblemCode#INVALID_PATH} if the path is refused
   */
  static String[] of(String path) {
    if (path.isEmpty() || path.charAt(0) != '/') {
      throw refused("the path does not start with a slash");
    }
    requireCharacters(path);
    String text = path;
    refuseDots(text);
    for (int i = 0; hasTriplet(text); i++) {
      if (i == MOST_DECODINGS) {
        throw refused("the path is encoded too often");
      }
      text = decode(text);
      refuseDots(text);
    }
    return path.substring(1).split("/", -1);
  }

  private static void requireCharacters(String path) {
    for (int i = 0; i < path.length(); i++) {
      char c = path.charAt(i);
      if (c == '%' ? !isTriplet(path, i) : !isAllowed(c)) {
        throw refused("the path has a character that is not allowed in it");
      }
    }
  }

  private static boolean isAllowed(char c) {
    return RequestPath.isLetterOrDigit(c) || OTHER_CHARACTERS.indexOf(c) >= 0;
  }

  private static boolean isTriplet(String text, int percent) {
    return percent + 2 < text.length()
        && RequestPath.hexDigit(text.charAt(percent + 1)) >= 0
        && RequestPath.hexDigit(text.charAt(percent + 2)) >= 0;
  }

  private static boolean hasTriplet(String text) {
    for (int i = text.indexOf('%'); i >= 0; i = text.indexOf('%', i + 1)) {
      if (isTriplet(text, i)) {
        return true;
      }
    }
    return false;
  }

  private static String decode(String text) {
    byte[] written = text.getBytes(StandardCharsets.UTF_8);
    byte[] bytes = new byte[written.length];
    int length = 0;
    for (int i = 0; i < written.length; i++) {
      int high = i + 2 < written.length && written[i] == '%' ? digit(written[i + 1]) : -1;
      int low = high < 0 ? -1 : digit(written[i + 2]);
      boolean triplet = low >= 0;
      bytes[length++] = triplet ? (byte) (high << 4 | low) : written[i];
      i += triplet ? 2 : 0;
    }
    String decoded = RequestPath.text(bytes, length);
    if (decoded.chars().anyMatch(Character::isISOControl)) {
      throw refused("the path has an encoded control character");
    }
    return decoded;
  }

  private static int digit(byte octet) {
    return octet < 0 ? -1 : RequestPath.hexDigit((char) octet);
  }

  private static void refuseDots(String text) {
    boolean dots = false;
    boolean other = false;
    boolean ended = false;
    for (int i = 0; i <= text.length(); i++) {
      char c = i == text.length() ? '/' : text.charAt(i);
      switch (c) {
        case '/', '\\' -> {
          if (dots && !other) {
            throw refused("the path has a dot segment");
          }
          dots = false;
          other = false;
          ended = false;
        }
        case ';', '?', '#' -> ended = true;
        case '.' -> dots |= !ended;
        case ' ' -> {}
        default -> other |= !ended;
      }
    }
  }

  private static RefusedException refused(String detail) {
    return new RefusedException(ProblemCode.INVALID_PATH, detail);
  }
}
