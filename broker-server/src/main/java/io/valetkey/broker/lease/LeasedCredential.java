package io.valetkey.broker.lease;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A credential on its way to the agent. Not a record, because a record would print it; what it
 * holds is had through {@link #reveal()} alone.
 */
public final class LeasedCredential {

  private final Map<String, Object> members;

  LeasedCredential(Map<String, Object> members) {
    this.members = Collections.unmodifiableMap(new LinkedHashMap<>(members));
  }

  /** What the agent is answered: strings, and lists of strings. */
  public Map<String, Object> reveal() {
    return members;
  }

  @Override
  public String toString() {
    return "LeasedCredential[redacted]";
  }
}
