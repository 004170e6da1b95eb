package io.valetkey.broker.gateway;

import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Which bodies are text, as their {@code Content-Type} says it (RFC 9110 section 8.3.1). */
final class MediaTypes {

  private static final Set<String> TEXT =
      Set.of(
          "application/json",
          "application/xml",
          "application/javascript",
          "application/x-ndjson",
          "application/jsonl",
          "application/x-www-form-urlencoded");

  private MediaTypes() {}

  /** Whether a body of this type is text. */
  static boolean isText(@Nullable String contentType) {
    if (contentType == null) {
      return false;
    }
    int parameters = contentType.indexOf(';');
    String type =
        (parameters < 0 ? contentType : contentType.substring(0, parameters))
            .strip()
            .toLowerCase(Locale.ROOT);
    return type.startsWith("text/")
        || type.endsWith("+json")
        || type.endsWith("+xml")
        || TEXT.contains(type);
  }
}
