package io.valetkey.broker.upstream;

import io.valetkey.broker.secret.SecretValue;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A real credential in memory. It does not print itself.
 *
 * <p>Two of the same reference with the same {@link #version()} hold the same value, so that
 * whoever derives something from the value can tell when to do that again.
 */
public final class UpstreamCredential {

  private final CredentialFields fields;
  private final long version;
  private final Instant fetchedAt;
  private final @Nullable Instant until;
  private final @Nullable ClientCertificate certificate;

  UpstreamCredential(
      CredentialFields fields,
      long version,
      Instant fetchedAt,
      @Nullable Instant until,
      @Nullable ClientCertificate certificate) {
    this.certificate = certificate;
    this.fields = fields;
    this.version = version;
    this.fetchedAt = fetchedAt;
    this.until = until;
  }

  /** The credential as its source holds it. */
  public CredentialFields fields() {
    return fields;
  }

  /**
   * The credential that is one text.
   *
   * @throws IllegalStateException if it has several fields
   */
  public SecretValue value() {
    SecretValue value = fields.get(null);
    if (value == null) {
      throw new IllegalStateException("the credential has several fields");
    }
    return value;
  }

  /** The certificate that it is; null if it is values. */
  public @Nullable ClientCertificate certificate() {
    return certificate;
  }

  /** Changes whenever the value changes; only ever grows within one process. */
  public long version() {
    return version;
  }

  /** When the source was last asked and gave this value. */
  public Instant fetchedAt() {
    return fetchedAt;
  }

  /** When it ends by itself, if it is a provider's token or a certificate; else null. */
  @Nullable Instant until() {
    return until;
  }

  @Override
  public String toString() {
    return "UpstreamCredential[version=" + version + ", fetchedAt=" + fetchedAt + "]";
  }
}
