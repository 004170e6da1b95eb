package io.valetkey.broker.issuance;

import io.valetkey.broker.secret.SecretValue;
import java.util.List;

/** A token whose audit record is durable: the only kind that may be sent. */
final class IssuedToken {

  private final SecretValue value;
  private final boolean bound;
  private final long expiresInSeconds;
  private final List<String> scopes;

  IssuedToken(SecretValue value, boolean bound, long expiresInSeconds, List<String> scopes) {
    this.value = value;
    this.bound = bound;
    this.expiresInSeconds = expiresInSeconds;
    this.scopes = scopes;
  }

  SecretValue value() {
    return value;
  }

  /** The {@code token_type}. */
  String type() {
    return bound ? "DPoP" : "Bearer";
  }

  long expiresInSeconds() {
    return expiresInSeconds;
  }

  String scope() {
    return String.join(" ", scopes);
  }
}
