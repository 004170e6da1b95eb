package io.valetkey.broker.policy;

import com.nimbusds.jose.jwk.JWKSet;
import io.valetkey.broker.identity.KeySource;
import io.valetkey.broker.identity.Tls;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.X509Authorities;
import io.valetkey.broker.identity.X509Trust;
import java.net.URI;
import java.nio.file.Path;
import java.text.ParseException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Turns an issuer as it was written into the form that tokens are checked against. */
final class IssuerCompiler {

  private static final Set<String> KUBERNETES_ALGORITHMS = Set.of("RS256", "ES256");
  private static final Set<String> OTHER_ALGORITHMS =
      Set.of("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "EdDSA");
  private static final Duration MAX_TOKEN_AGE = Duration.ofHours(1);

  /** A day, as meshes issue them, and what they date back. */
  private static final Duration MAX_CERTIFICATE_AGE = Duration.ofHours(25);

  private static final Duration OIDC_MAX_TOKEN_AGE = Duration.ofHours(24);

  private IssuerCompiler() {}

  static TrustedIssuer compile(String name, long version, IssuerSpec spec) {
    var type = TrustedIssuer.Type.valueOf(spec.type().name());
    String key =
        type == TrustedIssuer.Type.SPIFFE
            ? Objects.requireNonNull(spec.trustDomain())
            : Objects.requireNonNull(spec.issuer());
    List<String> algorithms = spec.algorithms();
    Duration maxAge = spec.maxTokenAge();
    Boolean enabled = spec.enabled();
    return new TrustedIssuer(
        name,
        type,
        key,
        keys(key, spec.keys()),
        algorithms == null ? defaultAlgorithms(type) : Set.copyOf(algorithms),
        maxAge == null ? defaultMaxAge(type) : maxAge,
        spec.replay() == IssuerSpec.Replay.ONCE,
        review(spec.tokenReview()),
        x509(spec.x509()),
        enabled == null || enabled,
        version);
  }

  private static Set<String> defaultAlgorithms(TrustedIssuer.Type type) {
    return type == TrustedIssuer.Type.KUBERNETES ? KUBERNETES_ALGORITHMS : OTHER_ALGORITHMS;
  }

  private static Duration defaultMaxAge(TrustedIssuer.Type type) {
    return type == TrustedIssuer.Type.OIDC ? OIDC_MAX_TOKEN_AGE : MAX_TOKEN_AGE;
  }

  private static @Nullable X509Trust x509(IssuerSpec.@Nullable X509 x509) {
    if (x509 == null) {
      return null;
    }
    Duration age = x509.maxAge();
    Duration maxAge = age == null ? MAX_CERTIFICATE_AGE : age;
    String pem = x509.authorities();
    return pem == null
        ? new X509Trust.OfBundle(maxAge)
        : new X509Trust.Inline(X509Authorities.ofPem(pem), maxAge);
  }

  private static KeySource keys(String key, IssuerSpec.@Nullable Keys keys) {
    if (keys == null) {
      return new KeySource.Inline(new JWKSet());
    }
    Tls tls = tls(keys.caCertificate(), keys.bearerTokenFile());
    if (keys.jwks() != null) {
      return new KeySource.Inline(keySet(keys));
    }
    if (keys.jwksUri() != null) {
      return new KeySource.JwksUri(URI.create(keys.jwksUri()), tls);
    }
    if (keys.bundleUri() != null) {
      return new KeySource.SpiffeBundle(URI.create(keys.bundleUri()), tls);
    }
    return new KeySource.Discovery(URI.create(key), tls);
  }

  private static JWKSet keySet(IssuerSpec.Keys keys) {
    try {
      return JWKSet.parse(Objects.requireNonNull(keys.jwks()));
    } catch (ParseException e) {
      throw new IllegalArgumentException("the stored key set is not valid", e);
    }
  }

  private static TrustedIssuer.@Nullable Review review(IssuerSpec.@Nullable TokenReview review) {
    return review == null
        ? null
        : new TrustedIssuer.Review(
            URI.create(review.apiServer()), tls(review.caCertificate(), review.bearerTokenFile()));
  }

  private static Tls tls(@Nullable String caCertificate, @Nullable String bearerTokenFile) {
    return new Tls(caCertificate, bearerTokenFile == null ? null : Path.of(bearerTokenFile));
  }
}
