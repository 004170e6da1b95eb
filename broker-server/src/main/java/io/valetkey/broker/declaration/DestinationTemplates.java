package io.valetkey.broker.declaration;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The templates that come with the broker. */
public final class DestinationTemplates {

  private static final List<String> NAMES =
      List.of(
          "anthropic",
          "aws-s3",
          "azure-openai",
          "datadog",
          "github",
          "github-git",
          "gitlab",
          "google-gemini",
          "hugging-face",
          "hugging-face-hub",
          "jira",
          "openai",
          "slack",
          "stripe");

  private static final Map<String, DestinationTemplate> ALL = load();

  private DestinationTemplates() {}

  private static Map<String, DestinationTemplate> load() {
    Map<String, DestinationTemplate> all = new TreeMap<>();
    NAMES.forEach(name -> all.put(name, DestinationTemplate.load(name)));
    return Collections.unmodifiableMap(all);
  }

  /** All of them, in the order of their names. */
  public static Iterable<DestinationTemplate> all() {
    return ALL.values();
  }

  /** The template of this name, or null if there is none. */
  public static @Nullable DestinationTemplate find(String name) {
    return ALL.get(name);
  }
}
