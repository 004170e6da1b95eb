package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A registered party whose identity tokens we trust, as the platform team wrote it.
 *
 * @param type what kind of platform it is
 * @param issuer the exact {@code iss}; absent for SPIFFE
 * @param trustDomain the SPIFFE trust domain; absent for the others
 * @param keys where its keys come from; absent only of a trust domain with X.509 authorities
 * @param algorithms the JWS algorithms it may use, asymmetric only; the type's default if absent
 * @param maxTokenAge the most that {@code exp − iat} may be; the type's default if absent
 * @param replay whether one identity token may be presented more than once; {@code reusable} if
 *     absent
 * @param tokenReview asks the Kubernetes API server whether the token still counts, if present
 * @param x509 how its X.509-SVIDs are believed; not at all if absent. For SPIFFE only
 * @param enabled whether its tokens are accepted at all; true if absent
 */
public record IssuerSpec(
    IssuerType type,
    @Nullable String issuer,
    @Nullable String trustDomain,
    @Nullable Keys keys,
    @Nullable List<String> algorithms,
    @Nullable Duration maxTokenAge,
    @Nullable Replay replay,
    @Nullable TokenReview tokenReview,
    @Nullable X509 x509,
    @Nullable Boolean enabled)
    implements ResourceSpec {

  /** What kind of platform vouches for the workload. */
  public enum IssuerType {
    KUBERNETES,
    SPIFFE,
    OIDC
  }

  /** Whether one identity token may be presented more than once. */
  public enum Replay {
    REUSABLE,
    ONCE
  }

  /**
   * Where the keys come from: exactly one of the first four is set.
   *
   * @param jwks the key set itself (RFC 7517)
   * @param jwksUri where the key set is read
   * @param discovery whether the issuer's own discovery document names the place
   * @param bundleUri the SPIFFE bundle endpoint
   * @param caCertificate PEM; the only CA that this connection trusts, if present
   * @param bearerTokenFile a file whose content is sent as Bearer, read again at each request
   */
  public record Keys(
      @Nullable Map<String, Object> jwks,
      @Nullable String jwksUri,
      @Nullable Boolean discovery,
      @Nullable String bundleUri,
      @Nullable String caCertificate,
      @Nullable String bearerTokenFile) {}

  /**
   * Who signs the X.509-SVIDs of the trust domain: exactly one of the first two is set.
   *
   * @param authorities PEM; the self-signed certificates of its authorities
   * @param fromBundleUri whether they are in the bundle that the keys come from
   * @param maxAge the most that a certificate's whole life may be; 25 hours if absent
   */
  public record X509(
      @Nullable String authorities, @Nullable Boolean fromBundleUri, @Nullable Duration maxAge) {}

  /**
   * How to ask the Kubernetes API server.
   *
   * @param apiServer its base URL
   * @param caCertificate PEM; the only CA that this connection trusts, if present
   * @param bearerTokenFile a file whose content is sent as Bearer, read again at each request
   */
  public record TokenReview(
      String apiServer, @Nullable String caCertificate, @Nullable String bearerTokenFile) {}
}
