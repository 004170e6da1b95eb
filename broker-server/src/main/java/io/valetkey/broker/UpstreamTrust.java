package io.valetkey.broker;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.jspecify.annotations.Nullable;

/** The authorities that upstream certificates may come from: the JVM's, and those of a PEM file. */
final class UpstreamTrust {

  private UpstreamTrust() {}

  /**
   * The authorities.
   *
   * @param additional a PEM file with more authorities, or null
   * @throws InvalidSettingsException if the file does not hold certificates
   */
  static TrustManagerFactory of(@Nullable Path additional) throws GeneralSecurityException {
    TrustManagerFactory platform =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    platform.init((KeyStore) null);
    if (additional == null) {
      return platform;
    }
    KeyStore both = KeyStore.getInstance("PKCS12");
    try (InputStream pem = Files.newInputStream(additional)) {
      both.load(null, null);
      int number = 0;
      for (TrustManager manager : platform.getTrustManagers()) {
        for (X509Certificate issuer : ((X509TrustManager) manager).getAcceptedIssuers()) {
          both.setCertificateEntry("platform-" + number++, issuer);
        }
      }
      for (Certificate own : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
        both.setCertificateEntry("own-" + number++, own);
      }
    } catch (IOException | GeneralSecurityException e) {
      throw new InvalidSettingsException(
          List.of("valetkey.gateway.trusted-certificates: does not hold PEM certificates"));
    }
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(both);
    return trust;
  }
}
