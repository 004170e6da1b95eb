package io.valetkey.broker.policy;

import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.List;

/**
 * One path of a rule, compiled. A segment is a literal, {@code *} for exactly one whole segment
 * that is not empty, or, as the last one, {@code **} for one or more remaining segments. There is
 * no other wildcard and no regular expression.
 *
 * <p>Literals obey the rules of {@link RequestPath} and are compared after decoding once, so {@code
 * %2A} is a literal star.
 *
 * <p>A <em>raw</em> pattern, for destinations that take paths as bytes, is all literal but for a
 * {@code **} at its end for one or more bytes, and its literals are compared as they are written.
 */
public final class PathPattern {

  /** One segment of a pattern. */
  sealed interface Part {

    /** Exactly this segment, decoded. */
    record Literal(String segment) implements Part {}

    /** One segment that is not empty. */
    record One() implements Part {}

    /** One or more remaining segments. */
    record Rest() implements Part {}

    /** One or more remaining bytes: the end of a prefix of raw paths. */
    record Tail() implements Part {}
  }

  private static final Part ONE = new Part.One();
  private static final Part REST = new Part.Rest();
  private static final Part TAIL = new Part.Tail();

  private final String text;
  private final List<Part> parts;

  private PathPattern(String text, List<Part> parts) {
    this.text = text;
    this.parts = parts;
  }

  /**
   * Compiles a pattern.
   *
   * @throws IllegalArgumentException with one sentence for the person who wrote it
   */
  public static PathPattern parse(String text) {
    RequestPath path;
    try {
      path = RequestPath.parse(text);
    } catch (RefusedException e) {
      throw new IllegalArgumentException("No request could match this: " + e.detail() + ".", e);
    }
    String[] raw = text.substring(1).split("/", -1);
    List<Part> parts = new ArrayList<>(raw.length);
    for (int i = 0; i < raw.length; i++) {
      parts.add(part(raw[i], path.segment(i), i == raw.length - 1));
    }
    return new PathPattern(text, List.copyOf(parts));
  }

  /**
   * Compiles a raw pattern.
   *
   * @throws IllegalArgumentException with one sentence for the person who wrote it
   */
  static PathPattern parseRaw(String text) {
    boolean prefix = text.endsWith("/**");
    String literal = prefix ? text.substring(0, text.length() - 2) : text;
    if (literal.indexOf('*') >= 0) {
      throw new IllegalArgumentException(
          "Where the destination has rawPath, a '*' can only stand in a final '/**'.");
    }
    String[] segments;
    try {
      segments = RawSegments.of(literal);
    } catch (RefusedException e) {
      throw new IllegalArgumentException("No request could match this: " + e.detail() + ".", e);
    }
    List<Part> parts = new ArrayList<>(segments.length);
    for (int i = 0; i < segments.length; i++) {
      parts.add(prefix && i == segments.length - 1 ? TAIL : new Part.Literal(segments[i]));
    }
    return new PathPattern(text, List.copyOf(parts));
  }

  /** The pattern as it was written. */
  public String text() {
    return text;
  }

  List<Part> parts() {
    return parts;
  }

  /**
   * How many of the path's leading segments this pattern accepts; the answer to "how close was it",
   * not to "does it match".
   */
  int sharedPrefix(RequestPath path) {
    int shared = 0;
    while (shared < parts.size() && shared < path.size()) {
      String segment = path.segment(shared);
      boolean fits =
          switch (parts.get(shared)) {
            case Part.Literal(String literal) -> literal.equals(segment);
            case Part.One() -> !segment.isEmpty();
            case Part.Rest() -> true;
            case Part.Tail() -> shared < path.size() - 1 || !segment.isEmpty();
          };
      if (!fits) {
        break;
      }
      shared++;
    }
    return shared;
  }

  /** Whether the pattern accepts the whole path. */
  boolean matches(RequestPath path) {
    if (sharedPrefix(path) < parts.size()) {
      return false;
    }
    return parts.size() == path.size()
        || parts.getLast() instanceof Part.Rest
        || parts.getLast() instanceof Part.Tail;
  }

  @Override
  public String toString() {
    return text;
  }

  private static Part part(String raw, String decoded, boolean last) {
    if (raw.equals("*")) {
      return ONE;
    }
    if (raw.equals("**")) {
      if (!last) {
        throw new IllegalArgumentException("'**' can only be the last segment.");
      }
      return REST;
    }
    if (raw.indexOf('*') >= 0) {
      throw new IllegalArgumentException(
          "A '*' stands for a whole segment; a literal star is written percent-encoded.");
    }
    return new Part.Literal(decoded);
  }
}
