package io.valetkey.broker.crypto;

import java.security.cert.Certificate;
import java.security.cert.CertificateEncodingException;
import java.util.Base64;

/** The thumbprint that a token is bound to a certificate by (RFC 8705 section 3.1). */
public final class CertificateThumbprint {

  private CertificateThumbprint() {}

  /** The SHA-256 of the DER encoding, as base64url without padding: {@code x5t#S256}. */
  public static String of(Certificate certificate) {
    try {
      byte[] hash = Sha256.of(certificate.getEncoded());
      return Base64.getUrlEncoder().withoutPadding().encodeToString(hash);
    } catch (CertificateEncodingException e) {
      throw new IllegalArgumentException("the certificate has no encoding", e);
    }
  }
}
