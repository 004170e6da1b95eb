package io.valetkey.bench;

import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.net.PemTrustOptions;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** How those who ask reach what is measured. */
enum CallerLeg {
  /** HTTP/1.1 without TLS. */
  PLAIN,
  /** HTTP/1.1 over TLS 1.3. */
  TLS,
  /** HTTP/2 over TLS 1.3. */
  HTTP2;

  static CallerLeg of(Options options, CallerLeg otherwise) {
    return valueOf(options.text("caller", otherwise.name()).toUpperCase(Locale.ROOT));
  }

  boolean isEncrypted() {
    return this != PLAIN;
  }

  String scheme() {
    return isEncrypted() ? "https" : "http";
  }

  /** How a client speaks that way, and no other. */
  HttpClientOptions options(Certificates certificates) {
    var options = new HttpClientOptions();
    if (isEncrypted()) {
      options
          .setSsl(true)
          .setEnabledSecureTransportProtocols(Set.of("TLSv1.3"))
          .setTrustOptions(new PemTrustOptions().addCertPath(certificates.authority().toString()));
    }
    if (this == HTTP2) {
      options
          .setUseAlpn(true)
          .setProtocolVersion(HttpVersion.HTTP_2)
          .setAlpnVersions(List.of(HttpVersion.HTTP_2));
    }
    return options;
  }
}
