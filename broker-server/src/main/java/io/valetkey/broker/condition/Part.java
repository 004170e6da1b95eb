package io.valetkey.broker.condition;

import java.util.Locale;

/** What a condition can ask about besides method and path. */
public enum Part {
  /** The query string. */
  QUERY,
  /** The header section. */
  HEADERS,
  /** The body. */
  BODY,
  /** The issuer and the subject of the agent's identity. */
  IDENTITY;

  /** How it is called towards people. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
