package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.ByteSize;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** How durations, sizes and times are written. Each method answers null for anything else. */
final class Literals {

  private static final Pattern DURATION = Pattern.compile("([1-9][0-9]{0,9})(ms|s|m|h|d)");
  private static final Pattern SIZE = Pattern.compile("([1-9][0-9]{0,9})(B|KiB|MiB|GiB)");
  private static final Pattern TIME =
      Pattern.compile("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z");

  private Literals() {}

  static @Nullable Duration duration(String text) {
    Matcher match = DURATION.matcher(text);
    if (!match.matches()) {
      return null;
    }
    long count = Long.parseLong(match.group(1));
    return switch (match.group(2)) {
      case "ms" -> Duration.ofMillis(count);
      case "s" -> Duration.ofSeconds(count);
      case "m" -> Duration.ofMinutes(count);
      case "h" -> Duration.ofHours(count);
      default -> Duration.ofDays(count);
    };
  }

  static @Nullable ByteSize byteSize(String text) {
    Matcher match = SIZE.matcher(text);
    if (!match.matches()) {
      return null;
    }
    long count = Long.parseLong(match.group(1));
    return switch (match.group(2)) {
      case "B" -> new ByteSize(count);
      case "KiB" -> new ByteSize(count << 10);
      case "MiB" -> new ByteSize(count << 20);
      default -> new ByteSize(count << 30);
    };
  }

  /** A time in UTC as RFC 3339 writes it, with an upper-case {@code Z}. */
  static @Nullable Instant instant(String text) {
    try {
      return TIME.matcher(text).matches() ? Instant.parse(text) : null;
    } catch (DateTimeException e) {
      return null;
    }
  }
}
