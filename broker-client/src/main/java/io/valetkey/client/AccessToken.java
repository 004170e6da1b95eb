package io.valetkey.client;

import java.time.Instant;
import java.util.List;

/**
 * A short-lived Bearer token for one destination, as issued by the broker (RFC 9068). It goes where
 * the destination's API key would go. Immutable; two tokens are equal only if they are the same
 * object, so that comparing never looks at the secret.
 */
public final class AccessToken extends Perishable {
  private final String destination;
  private final String value;
  private final String authorization;
  private final List<String> scopes;
  private final long obtainedAtMillis;
  private final long expiresAtMillis;

  AccessToken(
      String destination,
      String value,
      List<String> scopes,
      long obtainedAtMillis,
      long expiresAtMillis) {
    this.destination = destination;
    this.value = value;
    this.authorization = "Bearer " + value;
    this.scopes = List.copyOf(scopes);
    this.obtainedAtMillis = obtainedAtMillis;
    this.expiresAtMillis = expiresAtMillis;
  }

  /** The secret itself: a compact JWS, printable ASCII without spaces. Do not log it. */
  public String value() {
    return value;
  }

  /** The one destination that accepts this token. */
  public String destination() {
    return destination;
  }

  /** The scopes that were granted, which may be fewer than the destination has. */
  public List<String> scopes() {
    return scopes;
  }

  /**
   * When the gateway stops accepting it for new requests. Counted from the moment at which the
   * token was asked for, hence never later than the broker's own reckoning on an even clock.
   */
  public Instant expiresAt() {
    return Instant.ofEpochMilli(expiresAtMillis);
  }

  String authorization() {
    return authorization;
  }

  @Override
  long obtainedAtMillis() {
    return obtainedAtMillis;
  }

  @Override
  long expiresAtMillis() {
    return expiresAtMillis;
  }

  /** Says everything but the secret. */
  @Override
  public String toString() {
    return "AccessToken[destination="
        + destination
        + ", scopes="
        + scopes
        + ", expiresAt="
        + expiresAt()
        + ", value=redacted]";
  }
}
