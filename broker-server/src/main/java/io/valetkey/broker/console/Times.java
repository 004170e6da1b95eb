package io.valetkey.broker.console;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Times as pages show them: UTC, and the same width everywhere. */
final class Times {

  private static final DateTimeFormatter CLOCK =
      DateTimeFormatter.ofPattern("HH:mm:ss.SSS", Locale.ROOT).withZone(ZoneOffset.UTC);
  private static final DateTimeFormatter DAY =
      DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss", Locale.ROOT).withZone(ZoneOffset.UTC);

  private Times() {}

  static String clock(Instant time) {
    return CLOCK.format(time);
  }

  static String full(@Nullable Instant time) {
    return time == null ? "–" : DAY.format(time);
  }

  /** How long ago, in the largest unit that fits. */
  static String ago(Instant time, Instant now) {
    return length(Duration.between(time, now)) + " ago";
  }

  /** In how long, in the largest unit that fits. */
  static String until(Instant time, Instant now) {
    return time.isAfter(now) ? "in " + length(Duration.between(now, time)) : "over";
  }

  private static String length(Duration length) {
    if (length.toSeconds() < 60) {
      return Math.max(0, length.toSeconds()) + " s";
    }
    if (length.toMinutes() < 60) {
      return length.toMinutes() + " min";
    }
    return length.toHours() < 48 ? length.toHours() + " h" : length.toDays() + " days";
  }
}
