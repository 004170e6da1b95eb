package io.valetkey.broker.identity;

import io.valetkey.broker.crypto.KeyStrength;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.security.auth.x500.X500Principal;
import org.jspecify.annotations.Nullable;

/**
 * The authorities of one trust domain: certificates that are self-signed, may sign certificates,
 * and have a key that will do. When they end is asked each time that they are used.
 */
public final class X509Authorities {

  static final X509Authorities NONE = new X509Authorities(Set.of());

  private static final int MOST = 100;
  private static final String USE = "x509-svid";
  private static final int CERT_SIGN = 5; // RFC 5280 section 4.2.1.3

  private final Set<X509Certificate> certificates;

  private X509Authorities(Set<X509Certificate> certificates) {
    this.certificates = Set.copyOf(certificates);
  }

  /**
   * Reads authorities from PEM.
   *
   * @throws IllegalArgumentException if it is not one to 100 certificates, each of which is an
   *     authority; the message says nothing of what was read
   */
  public static X509Authorities ofPem(String pem) {
    Set<X509Certificate> read = new LinkedHashSet<>();
    try {
      for (Certificate certificate :
          factory()
              .generateCertificates(
                  new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII)))) {
        read.add((X509Certificate) certificate);
      }
    } catch (CertificateException e) {
      throw new IllegalArgumentException("must be X.509 certificates in PEM", e);
    }
    if (read.isEmpty() || read.size() > MOST) {
      throw new IllegalArgumentException("must be 1 to " + MOST + " X.509 certificates in PEM");
    }
    if (!read.stream().allMatch(X509Authorities::isAuthority)) {
      throw new IllegalArgumentException(
          "must be authorities: self-signed, CA, allowed to sign certificates, with a key of RSA"
              + " 2048 bits or more, P-256, P-384 or Ed25519");
    }
    return new X509Authorities(read);
  }

  /** What a SPIFFE bundle has of them; an entry that is no authority does not spoil the others. */
  static X509Authorities ofBundle(Map<String, @Nullable Object> bundle) {
    Set<X509Certificate> read = new LinkedHashSet<>();
    if (bundle.get("keys") instanceof List<?> keys) {
      for (Object key : keys) {
        if (read.size() < MOST
            && key instanceof Map<?, ?> jwk
            && USE.equals(jwk.get("use"))
            && jwk.get("x5c") instanceof List<?> chain
            && chain.size() == 1
            && chain.getFirst() instanceof String der) {
          X509Certificate certificate = certificate(der);
          if (certificate != null && isAuthority(certificate)) {
            read.add(certificate);
          }
        }
      }
    }
    return new X509Authorities(read);
  }

  private static @Nullable X509Certificate certificate(String base64) {
    try {
      byte[] der = Base64.getDecoder().decode(base64);
      return (X509Certificate) factory().generateCertificate(new ByteArrayInputStream(der));
    } catch (CertificateException | IllegalArgumentException e) {
      return null;
    }
  }

  private static CertificateFactory factory() throws CertificateException {
    return CertificateFactory.getInstance("X.509");
  }

  /**
   * Self-signed only, because such a certificate can stand in the path itself: then what it says
   * about path lengths, names and its own end holds, which a bare trust anchor's does not.
   */
  private static boolean isAuthority(X509Certificate certificate) {
    boolean[] usage = certificate.getKeyUsage();
    if (certificate.getBasicConstraints() < 0
        || usage == null
        || !usage[CERT_SIGN]
        || !KeyStrength.suffices(certificate.getPublicKey())) {
      return false;
    }
    try {
      certificate.verify(certificate.getPublicKey());
      return certificate.getSubjectX500Principal().equals(certificate.getIssuerX500Principal());
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  boolean isEmpty() {
    return certificates.isEmpty();
  }

  boolean contains(X509Certificate certificate) {
    return certificates.contains(certificate);
  }

  /** Those of this name: while an authority is renewed, several. */
  List<X509Certificate> named(X500Principal name) {
    List<X509Certificate> found = new ArrayList<>(1);
    for (X509Certificate certificate : certificates) {
      if (certificate.getSubjectX500Principal().equals(name)) {
        found.add(certificate);
      }
    }
    return found;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof X509Authorities that && certificates.equals(that.certificates);
  }

  @Override
  public int hashCode() {
    return certificates.hashCode();
  }

  @Override
  public String toString() {
    return "X509Authorities[" + certificates.size() + "]";
  }
}
