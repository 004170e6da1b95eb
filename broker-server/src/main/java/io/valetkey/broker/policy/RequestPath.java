package io.valetkey.broker.policy;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The path of one request in the only form that we accept, as segments that were decoded once; or,
 * for destinations that take paths as bytes, as those bytes.
 *
 * <p>A path that has more than one reading is refused and never repaired: what is matched is
 * exactly what is sent, and no upstream can read it differently. Accepted is RFC 3986 {@code
 * path-absolute} in ASCII, without
 *
 * <ul>
 *   <li>dot segments, empty segments other than one at the end, and {@code ;} parameters,
 *   <li>encoded {@code /}, {@code \}, {@code .}, {@code ;} or control characters,
 *   <li>anything that can be decoded a second time, and bytes that are not shortest-form UTF-8.
 * </ul>
 *
 * <p>One trailing slash is allowed and significant: the last segment is then empty. {@code /} is
 * one empty segment.
 *
 * <p>A <em>raw</em> path is one that {@link RawSegments} lets pass. Its segments are the very bytes
 * between the slashes, of which any can be empty.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc3986#section-3.3">RFC 3986 section 3.3</a>
 */
public final class RequestPath {

  /** Besides letters and digits: RFC 3986 {@code pchar} without {@code ;}. */
  private static final String OTHER_CHARACTERS = "-._~!$&'()*+,=:@";

  private final String raw;
  private final String[] segments;
  private final @Nullable RefusedException notCanonical;

  private RequestPath(String raw, String[] segments, @Nullable RefusedException notCanonical) {
    this.raw = raw;
    this.segments = segments;
    this.notCanonical = notCanonical;
  }

  /**
   * Reads a path of which it is not known yet whether its destination takes raw ones: as a
   * canonical one if it is that, else as a raw one. {@link #readAs} says whether it will do.
   *
   * @param rawPath the path as it was received, without a query
   * @throws RefusedException with {@link ProblemCode#INVALID_PATH} if it is neither
   */
  public static RequestPath receive(String rawPath) {
    try {
      return parse(rawPath);
    } catch (RefusedException notCanonical) {
      try {
        return new RequestPath(rawPath, RawSegments.of(rawPath), notCanonical);
      } catch (RefusedException neither) {
        throw notCanonical;
      }
    }
  }

  /**
   * The path in the form that a destination's rules are about.
   *
   * @param rawForm whether the destination takes paths as bytes
   * @throws RefusedException with {@link ProblemCode#INVALID_PATH} if it does not have that form
   */
  RequestPath readAs(boolean rawForm) {
    if (notCanonical == null) {
      return rawForm ? new RequestPath(raw, RawSegments.of(raw), null) : this;
    }
    if (rawForm) {
      return this;
    }
    throw notCanonical;
  }

  /**
   * Reads a path.
   *
   * @param rawPath the path as it was received, without a query
   * @throws RefusedException with {@link ProblemCode#INVALID_PATH} if it is not in canonical form
   */
  public static RequestPath parse(String rawPath) {
    if (rawPath.isEmpty() || rawPath.charAt(0) != '/') {
      throw refused("the path does not start with a slash");
    }
    List<String> segments = new ArrayList<>(8);
    int start = 1;
    while (true) {
      int end = rawPath.indexOf('/', start);
      boolean last = end < 0;
      String segment = rawPath.substring(start, last ? rawPath.length() : end);
      if (segment.isEmpty() && !last) {
        throw refused("the path has an empty segment");
      }
      segments.add(read(segment));
      if (last) {
        return new RequestPath(rawPath, segments.toArray(new String[0]), null);
      }
      start = end + 1;
    }
  }

  /** How many segments there are; at least one. */
  public int size() {
    return segments.length;
  }

  /** A segment, decoded once, of which only the last one can be empty; its bytes if it is raw. */
  public String segment(int index) {
    return segments[index];
  }

  /** The path exactly as it was received: this is what is sent. */
  public String raw() {
    return raw;
  }

  @Override
  public String toString() {
    return raw;
  }

  private static String read(String segment) {
    if (segment.equals(".") || segment.equals("..")) {
      throw refused("the path has a dot segment");
    }
    boolean encoded = false;
    for (int i = 0; i < segment.length(); i++) {
      char c = segment.charAt(i);
      if (c == '%') {
        encoded = true;
      } else if (!isLetterOrDigit(c) && OTHER_CHARACTERS.indexOf(c) < 0) {
        throw refused("the path has a character that is not allowed in it");
      }
    }
    return encoded ? decode(segment) : segment;
  }

  private static String decode(String segment) {
    byte[] bytes = new byte[segment.length()];
    int length = 0;
    for (int i = 0; i < segment.length(); i++) {
      char c = segment.charAt(i);
      if (c == '%') {
        c = octet(segment, i);
        i += 2;
      }
      bytes[length++] = (byte) c;
    }
    String decoded = text(bytes, length);
    requireSingleReading(decoded);
    return decoded;
  }

  /** What the first bytes are in UTF-8. */
  static String text(byte[] bytes, int length) {
    try {
      // A fresh decoder reports what a String constructor would replace: overlong forms,
      // surrogates.
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes, 0, length))
          .toString();
    } catch (CharacterCodingException e) {
      throw refused("the path is not valid UTF-8");
    }
  }

  private static char octet(String segment, int percent) {
    int high = percent + 2 < segment.length() ? hexDigit(segment.charAt(percent + 1)) : -1;
    int low = percent + 2 < segment.length() ? hexDigit(segment.charAt(percent + 2)) : -1;
    if (high < 0 || low < 0) {
      throw refused("the path has an invalid percent triplet");
    }
    char octet = (char) (high << 4 | low);
    if (octet == '/' || octet == '\\' || octet == '.' || octet == ';') {
      throw refused("the path hides a separator behind percent-encoding");
    }
    return octet;
  }

  private static void requireSingleReading(String decoded) {
    for (int i = 0; i < decoded.length(); i++) {
      char c = decoded.charAt(i);
      if (Character.isISOControl(c)) {
        throw refused("the path has an encoded control character");
      }
      if (c == '%'
          && i + 2 < decoded.length()
          && hexDigit(decoded.charAt(i + 1)) >= 0
          && hexDigit(decoded.charAt(i + 2)) >= 0) {
        throw refused("the path is encoded twice");
      }
    }
  }

  static boolean isLetterOrDigit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  }

  /** The value of an ASCII hexadecimal digit, or −1; {@link Character#digit} takes others too. */
  static int hexDigit(char c) {
    return c < 0x80 ? Character.digit(c, 16) : -1;
  }

  private static RefusedException refused(String detail) {
    return new RefusedException(ProblemCode.INVALID_PATH, detail);
  }
}
