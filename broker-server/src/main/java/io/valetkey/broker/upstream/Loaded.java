package io.valetkey.broker.upstream;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What a source gave. It does not print the values.
 *
 * @param fields the values
 * @param until when they end by themselves; null if they are stored ones, which do not
 * @param certificate the certificate that it is instead of values; null if it is none
 */
record Loaded(
    CredentialFields fields, @Nullable Instant until, @Nullable ClientCertificate certificate) {

  Loaded(CredentialFields fields, @Nullable Instant until) {
    this(fields, until, null);
  }

  /** A certificate, which has no values that go into requests. */
  static Loaded of(ClientCertificate certificate) {
    return new Loaded(CredentialFields.NONE, certificate.end(), certificate);
  }
}
