package io.valetkey.broker;

import java.util.List;

/** The settings do not allow a start. Holds everything that is wrong, never a value. */
public final class InvalidSettingsException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /** Makes one of a list of sentences, each beginning with the name of a setting. */
  public InvalidSettingsException(List<String> problems) {
    super("The broker cannot start with these settings:\n  - " + String.join("\n  - ", problems));
  }
}
