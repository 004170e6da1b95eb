package io.valetkey.client;

import java.util.List;

/**
 * Stop: this program's settings do not work. Lists everything that is wrong, and how to mend it.
 */
public final class ConfigurationException extends ValetkeyException {
  private final List<String> problems;

  ConfigurationException(List<String> problems) {
    super(
        "Valetkey cannot start:\n  - " + String.join("\n  - ", problems),
        null,
        null,
        /* cause= */ null);
    this.problems = List.copyOf(problems);
  }

  /** One sentence for each mistake; never empty. */
  public List<String> problems() {
    return problems;
  }

  /** Always false. */
  @Override
  public boolean retryable() {
    return false;
  }

  @Override
  ValetkeyException again() {
    return new ConfigurationException(problems);
  }
}
