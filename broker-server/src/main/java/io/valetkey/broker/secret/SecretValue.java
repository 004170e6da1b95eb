package io.valetkey.broker.secret;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import org.jspecify.annotations.Nullable;

/**
 * A secret that does not print itself.
 *
 * <p>The value can be had only through {@link #reveal()}, so that a search for that word finds
 * every place where a secret is used. Equality is constant-time. It promises a short life and no
 * accidental copy in a log or an error; it does not promise that memory is wiped.
 */
public final class SecretValue {

  private final String value;

  private SecretValue(String value) {
    this.value = value;
  }

  /**
   * Wraps a secret.
   *
   * @throws IllegalArgumentException if it is empty; the message does not contain it
   */
  public static SecretValue of(String value) {
    if (value.isEmpty()) {
      throw new IllegalArgumentException("a secret must not be empty");
    }
    return new SecretValue(value);
  }

  /** The secret itself. Use it at the last moment and do not keep it. */
  public String reveal() {
    return value;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof SecretValue that
        && MessageDigest.isEqual(
            value.getBytes(StandardCharsets.UTF_8), that.value.getBytes(StandardCharsets.UTF_8));
  }

  /** The same for every secret: a hash would tell two secrets apart, and be searchable. */
  @Override
  public int hashCode() {
    return 1;
  }

  @Override
  public String toString() {
    return "SecretValue[redacted]";
  }
}
