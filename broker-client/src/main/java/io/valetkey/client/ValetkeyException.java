package io.valetkey.client;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What every failure of this library is. It answers the caller's first question, try again or stop:
 *
 * <ul>
 *   <li>{@link UnavailableException}: try again, not sooner than it says;
 *   <li>{@link RefusedException}: stop; the broker said no and somebody has to change a grant;
 *   <li>{@link ConfigurationException}: stop; a setting of this program has to be mended.
 * </ul>
 *
 * No message, cause or string form of these contains a token.
 */
public abstract sealed class ValetkeyException extends RuntimeException
    permits ConfigurationException, RefusedException, UnavailableException {

  private final @Nullable String error;
  private final @Nullable String decisionId;

  ValetkeyException(
      String message,
      @Nullable String error,
      @Nullable String decisionId,
      @Nullable Throwable cause) {
    super(message, cause);
    this.error = error;
    this.decisionId = decisionId;
  }

  /** True if the same call may succeed later without anybody changing anything. */
  public abstract boolean retryable();

  /** The OAuth error code (RFC 6749 §5.2), or that of a lease's problem, if the broker gave one. */
  public Optional<String> error() {
    return Optional.ofNullable(error);
  }

  /** The id under which the platform team finds the reason, if the broker gave one. */
  public Optional<String> decisionId() {
    return Optional.ofNullable(decisionId);
  }

  /** The same failure for another caller: each gets a stack trace of its own. */
  abstract ValetkeyException again();
}
