package io.valetkey.broker.policy;

import io.valetkey.broker.policy.DestinationSpec.Credential;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.regex.Pattern;

/** What the reference to a certificate must be that the gateway shows to an upstream. */
final class CertificateRules {

  private static final Pattern ROLE = Pattern.compile("[A-Za-z0-9_.-]{1,128}");

  /** As long as X.520 lets a common name be, in characters that every reader takes for the same. */
  private static final Pattern COMMON_NAME =
      Pattern.compile("(?=.{1,64}$)[A-Za-z0-9._@:/-]+(?: [A-Za-z0-9._@:/-]+)*");

  private static final int LONGEST_URI = 2048;
  private static final Duration SHORTEST = Duration.ofMinutes(1);
  private static final Duration LONGEST = Duration.ofHours(1);

  private CertificateRules() {}

  static void check(Credential.VaultPki certificate, Errors errors) {
    DestinationRules.checkMount("/clientCertificate/mount", certificate.mount(), errors);
    if (!ROLE.matcher(certificate.role()).matches()) {
      errors.invalid(
          "/clientCertificate/role", "must be the name of a role: letters, digits, _ . and -");
    }
    if (certificate.commonName() == null && certificate.uriSan() == null) {
      errors.add(
          "/clientCertificate/commonName",
          FieldError.REQUIRED,
          "is required, unless uriSan is there");
    }
    if (certificate.commonName() != null
        && !COMMON_NAME.matcher(certificate.commonName()).matches()) {
      errors.invalid(
          "/clientCertificate/commonName",
          "must be 1 to 64 letters, digits, . _ @ : / and - with single spaces between");
    }
    if (certificate.uriSan() != null && !isUri(certificate.uriSan())) {
      errors.invalid(
          "/clientCertificate/uriSan",
          "must be an absolute URI with a host, without user, comma, query and fragment");
    }
    Duration ttl = certificate.ttl();
    if (ttl != null && (ttl.compareTo(SHORTEST) < 0 || ttl.compareTo(LONGEST) > 0)) {
      errors.invalid("/clientCertificate/ttl", "must be from 1m to 1h");
    }
  }

  private static boolean isUri(String text) {
    try {
      URI uri = new URI(text);
      return text.length() <= LONGEST_URI
          // Vault takes a comma for the end of a name.
          && text.chars().allMatch(c -> c > ' ' && c < 0x7f && c != ',')
          && uri.isAbsolute()
          && uri.getHost() != null
          && uri.getRawUserInfo() == null
          && uri.getRawQuery() == null
          && uri.getRawFragment() == null;
    } catch (URISyntaxException e) {
      return false;
    }
  }
}
