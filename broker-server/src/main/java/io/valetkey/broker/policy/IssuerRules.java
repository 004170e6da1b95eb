package io.valetkey.broker.policy;

import io.valetkey.broker.identity.X509Authorities;
import io.valetkey.broker.policy.IssuerSpec.IssuerType;
import io.valetkey.broker.policy.IssuerSpec.Keys;
import io.valetkey.broker.policy.IssuerSpec.TokenReview;
import io.valetkey.broker.policy.IssuerSpec.X509;
import java.io.ByteArrayInputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What an issuer must be. */
final class IssuerRules {

  private static final Set<String> ALGORITHMS =
      Set.of(
          "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA");
  private static final Pattern TRUST_DOMAIN = Pattern.compile("[a-z0-9._-]{1,255}");
  private static final Duration LEAST_AGE = Duration.ofSeconds(1);
  private static final Duration GREATEST_AGE = Duration.ofHours(24);
  private static final Duration GREATEST_CERTIFICATE_AGE = Duration.ofDays(90);

  private final Predicate<InetAddress> allowed;
  private final Predicate<Path> readableTokenFile;

  IssuerRules(Predicate<InetAddress> allowed, Predicate<Path> readableTokenFile) {
    this.allowed = allowed;
    this.readableTokenFile = readableTokenFile;
  }

  void check(IssuerSpec spec, Errors errors) {
    checkName(spec, errors);
    checkKeys(spec, errors);
    checkX509(spec, errors);
    checkAlgorithms(spec.algorithms(), errors);
    Duration age = spec.maxTokenAge();
    if (age != null && (age.compareTo(LEAST_AGE) < 0 || age.compareTo(GREATEST_AGE) > 0)) {
      errors.invalid("/maxTokenAge", "must be from 1s to 24h");
    }
    TokenReview review = spec.tokenReview();
    if (review != null) {
      if (spec.type() != IssuerType.KUBERNETES) {
        errors.invalid("/tokenReview", "is for issuers of type kubernetes only");
      }
      checkUrl("/tokenReview/apiServer", review.apiServer(), errors);
      checkCertificate("/tokenReview/caCertificate", review.caCertificate(), errors);
      checkTokenFile("/tokenReview/bearerTokenFile", review.bearerTokenFile(), errors);
    }
  }

  private void checkName(IssuerSpec spec, Errors errors) {
    if (spec.type() == IssuerType.SPIFFE) {
      if (spec.issuer() != null) {
        errors.invalid("/issuer", "is not for SPIFFE: its issuers have a trustDomain");
      }
      if (spec.trustDomain() == null) {
        errors.add("/trustDomain", FieldError.REQUIRED, "is required for type spiffe");
      } else if (!TRUST_DOMAIN.matcher(spec.trustDomain()).matches()) {
        errors.invalid("/trustDomain", "must be a SPIFFE trust domain such as td-a.example");
      }
      return;
    }
    if (spec.trustDomain() != null) {
      errors.invalid("/trustDomain", "is for type spiffe only");
    }
    if (spec.issuer() == null) {
      errors.add("/issuer", FieldError.REQUIRED, "is required for this type");
    } else {
      checkUrl("/issuer", spec.issuer(), errors);
    }
  }

  private void checkKeys(IssuerSpec spec, Errors errors) {
    Keys keys = spec.keys();
    if (keys == null) {
      return;
    }
    boolean discovery = Boolean.TRUE.equals(keys.discovery());
    long sources =
        Stream.of(keys.jwks(), keys.jwksUri(), discovery ? keys : null, keys.bundleUri())
            .filter(source -> source != null)
            .count();
    if (sources != 1) {
      errors.invalid(
          "/keys", "must have exactly one of jwks, jwksUri, \"discovery\": true and bundleUri");
    }
    boolean spiffe = spec.type() == IssuerType.SPIFFE;
    if (discovery && spiffe) {
      errors.invalid("/keys/discovery", "is not for SPIFFE: it has no discovery document");
    }
    if (keys.bundleUri() != null && !spiffe) {
      errors.invalid("/keys/bundleUri", "is for type spiffe only");
    }
    if (keys.jwks() != null) {
      PublicKeys.check("/keys/jwks", keys.jwks(), errors);
    }
    checkUrl("/keys/jwksUri", keys.jwksUri(), errors);
    checkUrl("/keys/bundleUri", keys.bundleUri(), errors);
    checkCertificate("/keys/caCertificate", keys.caCertificate(), errors);
    checkTokenFile("/keys/bearerTokenFile", keys.bearerTokenFile(), errors);
  }

  private static void checkX509(IssuerSpec spec, Errors errors) {
    X509 x509 = spec.x509();
    if (x509 == null) {
      return;
    }
    if (spec.type() != IssuerType.SPIFFE) {
      errors.invalid("/x509", "is for type spiffe only");
      return;
    }
    boolean bundle = Boolean.TRUE.equals(x509.fromBundleUri());
    if (bundle == (x509.authorities() != null)) {
      errors.invalid("/x509", "must have exactly one of authorities and \"fromBundleUri\": true");
    }
    Keys keys = spec.keys();
    if (bundle && (keys == null || keys.bundleUri() == null)) {
      errors.invalid("/x509/fromBundleUri", "needs keys with a bundleUri");
    }
    if (x509.authorities() != null) {
      checkAuthorities(x509.authorities(), errors);
    }
    Duration age = x509.maxAge();
    if (age != null
        && (age.compareTo(LEAST_AGE) < 0 || age.compareTo(GREATEST_CERTIFICATE_AGE) > 0)) {
      errors.invalid("/x509/maxAge", "must be from 1s to 90d");
    }
  }

  private static void checkAuthorities(String pem, Errors errors) {
    if (pem.contains("PRIVATE KEY")) {
      errors.invalid("/x509/authorities", "holds a private key: give certificates only");
      return;
    }
    try {
      var _ = X509Authorities.ofPem(pem);
    } catch (IllegalArgumentException e) {
      errors.invalid("/x509/authorities", String.valueOf(e.getMessage()));
    }
  }

  private static void checkAlgorithms(@Nullable List<String> algorithms, Errors errors) {
    if (algorithms == null) {
      return;
    }
    if (algorithms.isEmpty()) {
      errors.invalid(
          "/algorithms", "must name at least one algorithm; leave it out for the default");
    }
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < algorithms.size(); i++) {
      if (!ALGORITHMS.contains(algorithms.get(i))) {
        errors.invalid(
            "/algorithms/" + i,
            "must be an asymmetric algorithm: ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384,"
                + " PS512 or EdDSA");
      } else if (!seen.add(algorithms.get(i))) {
        errors.invalid("/algorithms/" + i, "is named twice");
      }
    }
  }

  private void checkUrl(String pointer, @Nullable String url, Errors errors) {
    String error = url == null ? null : WebAddress.urlError(url, allowed);
    if (error != null) {
      errors.invalid(pointer, error);
    }
  }

  private static void checkCertificate(String pointer, @Nullable String pem, Errors errors) {
    if (pem == null) {
      return;
    }
    if (pem.contains("PRIVATE KEY")) {
      errors.invalid(pointer, "holds a private key: give certificates only");
      return;
    }
    try {
      byte[] bytes = pem.getBytes(StandardCharsets.US_ASCII);
      if (!CertificateFactory.getInstance("X.509")
          .generateCertificates(new ByteArrayInputStream(bytes))
          .isEmpty()) {
        return;
      }
    } catch (CertificateException e) {
      // Reported below; the text of this exception would repeat parts of the document.
    }
    errors.invalid(pointer, "must be one or more X.509 certificates in PEM");
  }

  /** The file's content is sent to an address that an admin chooses, so not every file will do. */
  private void checkTokenFile(String pointer, @Nullable String file, Errors errors) {
    if (file == null) {
      return;
    }
    try {
      Path path = Path.of(file);
      if (path.isAbsolute() && path.normalize().equals(path) && readableTokenFile.test(path)) {
        return;
      }
    } catch (InvalidPathException e) {
      // Reported below, like any other path that will not do.
    }
    errors.invalid(pointer, "must be an absolute path in a folder that is allowed for token files");
  }
}
