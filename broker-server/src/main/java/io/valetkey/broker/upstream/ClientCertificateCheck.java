package io.valetkey.broker.upstream;

import io.valetkey.broker.policy.DestinationSpec;
import java.security.PublicKey;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x500.style.IETFUtils;

/** Whether an authority certified what it was asked to, and no more. */
final class ClientCertificateCheck {

  /** A shorter life would be over before it was of use. */
  static final Duration SHORTEST = Duration.ofSeconds(5);

  private static final int URI_NAME = 6;
  private static final List<String> FOR_CLIENTS =
      List.of("1.3.6.1.5.5.7.3.2", "2.5.29.37.0"); // clientAuth, any

  private ClientCertificateCheck() {}

  /**
   * Checks key, names and purpose.
   *
   * @throws io.valetkey.broker.problem.RefusedException if one is not right
   */
  static void check(
      DestinationSpec.Credential.Certificate reference,
      PublicKey expected,
      X509Certificate certificate) {
    if (!certificate.getPublicKey().equals(expected)) {
      throw CredentialText.refused(reference, "came for another key than ours");
    }
    if (certificate.getBasicConstraints() >= 0) {
      throw CredentialText.refused(reference, "came as that of an authority");
    }
    String commonName = reference.of().commonName();
    if (commonName != null && !commonName.equals(commonName(certificate))) {
      throw CredentialText.refused(reference, "came without the common name that was asked for");
    }
    try {
      List<String> purposes = certificate.getExtendedKeyUsage();
      if (purposes != null && purposes.stream().noneMatch(FOR_CLIENTS::contains)) {
        throw CredentialText.refused(reference, "is not for clients: the role has no client_flag");
      }
      String uri = reference.of().uriSan();
      if (uri != null && !hasUri(certificate, uri)) {
        throw CredentialText.refused(reference, "came without the URI that was asked for");
      }
    } catch (CertificateParsingException e) {
      throw CredentialText.refused(reference, "came with names that cannot be read");
    }
  }

  private static boolean hasUri(X509Certificate certificate, String uri)
      throws CertificateParsingException {
    Collection<List<?>> names = certificate.getSubjectAlternativeNames();
    return names != null
        && names.stream().anyMatch(name -> name.get(0).equals(URI_NAME) && uri.equals(name.get(1)));
  }

  private static String commonName(X509Certificate certificate) {
    var names =
        X500Name.getInstance(certificate.getSubjectX500Principal().getEncoded())
            .getRDNs(BCStyle.CN);
    return names.length == 1 ? IETFUtils.valueToString(names[0].getFirst().getValue()) : "";
  }
}
