package io.valetkey.broker;

import java.net.URI;
import java.net.URISyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * Where traces go, if anywhere.
 *
 * @param endpoint the base address of an OTLP/HTTP collector; null if there are no traces
 * @param samplePercent how many of a hundred served requests are traced
 */
record TelemetrySettings(@Nullable URI endpoint, int samplePercent) {

  /** Reads the settings of this part, noting what is wrong with them. */
  static TelemetrySettings read(SettingsReader reader) {
    String text = reader.text("tracing.otlp-endpoint");
    int percent = reader.number("tracing.sample-percent", 10, 0, 100);
    return new TelemetrySettings(text == null ? null : endpoint(reader, text), percent);
  }

  private static @Nullable URI endpoint(SettingsReader reader, String text) {
    try {
      URI uri = new URI(text);
      boolean web = "http".equals(uri.getScheme()) || "https".equals(uri.getScheme());
      if (web && uri.getHost() != null && uri.getRawUserInfo() == null && uri.getQuery() == null) {
        return uri;
      }
    } catch (URISyntaxException e) {
      // Said below.
    }
    reader.problem(
        "tracing.otlp-endpoint", "must be an http or https address without user and query");
    return null;
  }
}
