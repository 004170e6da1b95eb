package io.valetkey.client;

import java.net.http.HttpHeaders;
import java.time.Clock;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What of a refusal may be shown: codes of a known form, and text that cannot carry a token. */
final class AnswerText {
  static final Duration MAX_RETRY_AFTER = Duration.ofMinutes(5);

  private static final Pattern ERROR_CODE = Pattern.compile("[A-Za-z0-9_.-]{1,64}");
  private static final Pattern DECISION_ID = Pattern.compile("[A-Za-z0-9_-]{1,64}");
  private static final Pattern LOOKS_LIKE_JWT =
      Pattern.compile("[A-Za-z0-9_-]{4,}\\.[A-Za-z0-9_-]{4,}(\\.[A-Za-z0-9_-]*)?");

  private AnswerText() {}

  static @Nullable String code(@Nullable Object value) {
    return matching(value, ERROR_CODE);
  }

  static @Nullable String decisionId(@Nullable Object value) {
    return matching(value, DECISION_ID);
  }

  private static @Nullable String matching(@Nullable Object value, Pattern pattern) {
    return value instanceof String text && pattern.matcher(text).matches() ? text : null;
  }

  /** RFC 6749 §5.2 characters only, short, and nothing that could be a token sent back to us. */
  static String printable(@Nullable Object value) {
    if (!(value instanceof String text)) {
      return "";
    }
    String safe = LOOKS_LIKE_JWT.matcher(text).replaceAll("[redacted]");
    safe = safe.replaceAll("[^\\x20-\\x7e]", "?");
    return safe.length() > 200 ? safe.substring(0, 200) + "…" : safe;
  }

  /** Seconds or an HTTP date (RFC 9110 §10.2.3); what is neither is not there. */
  static @Nullable Duration retryAfter(HttpHeaders headers, Clock clock) {
    String value = headers.firstValue("Retry-After").orElse("").strip();
    Duration wait;
    if (value.matches("[0-9]{1,9}")) {
      wait = Duration.ofSeconds(Long.parseLong(value));
    } else {
      try {
        Instant until =
            ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME.withLocale(Locale.ROOT))
                .toInstant();
        wait = Duration.between(clock.instant(), until);
      } catch (DateTimeException e) {
        return null;
      }
    }
    if (wait.isNegative()) {
      return Duration.ZERO;
    }
    return wait.compareTo(MAX_RETRY_AFTER) > 0 ? MAX_RETRY_AFTER : wait;
  }
}
