package io.valetkey.broker.signal;

import io.valetkey.broker.identity.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Fields of documents whose form others decide: what we read must have its type, what we do not
 * read is not looked at. No message repeats what was there.
 *
 * <p>Bytes that are not UTF-8 are replaced and not refused: they come from names that the watched
 * process chose, which must not be able to make its own events unreadable.
 */
final class ForeignJson {

  /** The longest event that is looked at, in bytes; a process can make its events long. */
  static final int MAX_BYTES = 1 << 20;

  private static final int LONGEST_NAME = 255;
  private static final Instant EARLIEST = Instant.parse("2000-01-01T00:00:00Z");
  private static final Instant LATEST = Instant.parse("9999-01-01T00:00:00Z");

  private ForeignJson() {}

  static Map<String, @Nullable Object> object(byte[] document) {
    if (document.length > MAX_BYTES) {
      throw new RefusedException(ProblemCode.CONTENT_TOO_LARGE, "An event may have 1 MiB.");
    }
    try {
      return StrictJson.object(
          new String(document, StandardCharsets.UTF_8).getBytes(StandardCharsets.UTF_8));
    } catch (IllegalArgumentException e) {
      throw new RefusedException(
          ProblemCode.INVALID_JSON, "The body must be one JSON object without a repeated member.");
    }
  }

  /** A text, or null where there is none; sensors write {@code <NA>} for what they do not know. */
  static @Nullable String text(Map<?, ?> fields, String name) {
    Object value = fields.get(name);
    if (value == null || value.equals("<NA>") || value.equals("")) {
      return null;
    }
    if (value instanceof String text) {
      return text;
    }
    throw invalid(name, "must be a string");
  }

  /** A name that stands in records and in rules: short, one line. */
  static @Nullable String name(Map<?, ?> fields, String name) {
    String text = text(fields, name);
    if (text == null) {
      return null;
    }
    if (text.length() > LONGEST_NAME || !text.codePoints().allMatch(ForeignJson::printable)) {
      throw invalid(name, "must be 1 to " + LONGEST_NAME + " printable characters");
    }
    return text;
  }

  private static boolean printable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      default -> true;
    };
  }

  static String required(@Nullable String text, String name) {
    if (text == null) {
      throw invalid(name, "is required");
    }
    return text;
  }

  /** An object, empty where there is none. */
  static Map<?, ?> nested(Map<?, ?> fields, String name) {
    Object value = fields.get(name);
    if (value == null) {
      return Map.of();
    }
    if (value instanceof Map<?, ?> object) {
      return object;
    }
    throw invalid(name, "must be an object");
  }

  /** A time as RFC 3339 writes it, or null where there is none. */
  static @Nullable Instant time(Map<?, ?> fields, String name) {
    String text = text(fields, name);
    if (text == null) {
      return null;
    }
    try {
      Instant time = OffsetDateTime.parse(text).toInstant();
      if (!time.isBefore(EARLIEST) && time.isBefore(LATEST)) {
        return time;
      }
    } catch (DateTimeException e) {
      // Refused below.
    }
    throw invalid(name, "must be a time such as 2027-03-01T00:00:00Z");
  }

  /** Keeps a word if it has its fixed shape, and nothing of it otherwise. */
  static void keep(Map<String, String> words, String as, @Nullable Object value, Pattern shape) {
    if (value instanceof String text && shape.matcher(text).matches()) {
      words.put(as, text);
    }
  }

  static RefusedException invalid(String name, String rule) {
    return new RefusedException(ProblemCode.INVALID_FIELD, "The field " + name + " " + rule + ".");
  }
}
