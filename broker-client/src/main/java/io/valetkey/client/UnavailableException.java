package io.valetkey.client;

import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Try again: nobody said no. The broker did not answer in time, answered 429 or 5xx, something else
 * answered in its place, the identity token could not be read just now, or the waiting thread was
 * interrupted (its interrupt flag is then set).
 */
public final class UnavailableException extends ValetkeyException {
  private final @Nullable Duration retryAfter;

  UnavailableException(String message, @Nullable Throwable cause) {
    this(message, null, null, null, cause);
  }

  UnavailableException(
      String message,
      @Nullable String error,
      @Nullable String decisionId,
      @Nullable Duration retryAfter,
      @Nullable Throwable cause) {
    super(message, error, decisionId, cause);
    this.retryAfter = retryAfter;
  }

  /** Always true. */
  @Override
  public boolean retryable() {
    return true;
  }

  /**
   * How long the broker asked to be left alone (RFC 9110 §10.2.3), at most five minutes. Until then
   * calls without a usable token fail at once with this exception and send nothing.
   */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  @Override
  ValetkeyException again() {
    return new UnavailableException(
        String.valueOf(getMessage()),
        error().orElse(null),
        decisionId().orElse(null),
        retryAfter,
        this);
  }
}
