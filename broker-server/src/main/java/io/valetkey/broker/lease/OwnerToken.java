package io.valetkey.broker.lease;

import io.valetkey.broker.secret.SecretValue;

/**
 * The token that owns one lease at Vault. It is used for one call and then forgotten: what remains
 * is the accessor, by which it can be prolonged and ended. A class, because a record would print
 * the token.
 */
final class OwnerToken {

  private final SecretValue token;
  private final String accessor;

  OwnerToken(SecretValue token, String accessor) {
    this.token = token;
    this.accessor = accessor;
  }

  SecretValue token() {
    return token;
  }

  String accessor() {
    return accessor;
  }

  @Override
  public String toString() {
    return "OwnerToken[" + accessor + "]";
  }
}
