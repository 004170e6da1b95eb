package io.valetkey.broker.upstream;

import io.valetkey.broker.secret.SecretValue;
import java.time.Instant;

/**
 * A real credential in memory. It does not print itself.
 *
 * <p>Two of the same reference with the same {@link #version()} hold the same value, so that
 * whoever derives something from the value can tell when to do that again.
 */
public final class UpstreamCredential {

  private final SecretValue value;
  private final long version;
  private final Instant fetchedAt;

  UpstreamCredential(SecretValue value, long version, Instant fetchedAt) {
    this.value = value;
    this.version = version;
    this.fetchedAt = fetchedAt;
  }

  /** The credential as its source holds it. */
  public SecretValue value() {
    return value;
  }

  /** Changes whenever the value changes; only ever grows within one process. */
  public long version() {
    return version;
  }

  /** When the source was last asked and gave this value. */
  public Instant fetchedAt() {
    return fetchedAt;
  }

  @Override
  public String toString() {
    return "UpstreamCredential[version=" + version + ", fetchedAt=" + fetchedAt + "]";
  }
}
