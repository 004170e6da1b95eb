package io.valetkey.broker.stop;

import java.util.Locale;

/**
 * What a stop ends.
 *
 * @param kind the kind of target
 * @param value the agent's, destination's or issuer's name, the {@code jti}, or empty for
 *     everything
 */
public record StopTarget(Kind kind, String value) {

  /** The kinds of targets. */
  public enum Kind {
    AGENT,
    DESTINATION,
    ISSUER,
    TOKEN,
    EVERYTHING;

    /** The word on the wire and in the database. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** The target that is everything. */
  public static final StopTarget EVERYTHING = new StopTarget(Kind.EVERYTHING, "");
}
