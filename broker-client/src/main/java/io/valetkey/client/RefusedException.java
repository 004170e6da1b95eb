package io.valetkey.client;

import org.jspecify.annotations.Nullable;

/**
 * Stop: the broker answered and refused (RFC 6749 §5.2). Calling again gives the same answer until
 * a grant, an agent or a stop is changed; {@link #decisionId()} tells the platform team which. The
 * codes are {@code invalid_request} (also: this workload's identity is not accepted, or its agent
 * is disabled or stopped), {@code invalid_target} (no such destination, or no grant on it), {@code
 * invalid_scope}, {@code unsupported_grant_type} and those of later brokers; for leases the code of
 * the problem (RFC 9457), such as {@code not_found} or {@code invalid_token}.
 */
public final class RefusedException extends ValetkeyException {
  RefusedException(
      String message, String error, @Nullable String decisionId, @Nullable Throwable cause) {
    super(message, error, decisionId, cause);
  }

  /** Always false. */
  @Override
  public boolean retryable() {
    return false;
  }

  @Override
  ValetkeyException again() {
    return new RefusedException(
        String.valueOf(getMessage()), error().orElse(""), decisionId().orElse(null), this);
  }
}
