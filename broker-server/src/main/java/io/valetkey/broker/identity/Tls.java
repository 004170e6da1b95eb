package io.valetkey.broker.identity;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How a connection to an issuer is made.
 *
 * @param caCertificatePem the only CAs that it trusts; the platform's own if null
 * @param bearerTokenFile a file whose content is sent as Bearer, read again for each request
 */
public record Tls(@Nullable String caCertificatePem, @Nullable Path bearerTokenFile) {

  /** The platform's CAs and no bearer. */
  public static final Tls PLATFORM = new Tls(null, null);
}
