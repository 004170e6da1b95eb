package io.valetkey.broker.control;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.DateTimeException;
import java.time.Instant;

/** Times as people and programs write them here: RFC 3339, in UTC. */
public final class UtcTime {

  private UtcTime() {}

  /**
   * Reads a time.
   *
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it is none
   */
  public static Instant parse(String text) {
    try {
      if (text.matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z")) {
        return Instant.parse(text);
      }
    } catch (DateTimeException e) {
      // Refused below.
    }
    throw new RefusedException(
        ProblemCode.INVALID_REQUEST, "Times must be in UTC, such as 2027-03-01T00:00:00Z.");
  }
}
