package io.valetkey.broker.identity;

import java.net.URI;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A registered issuer in the form that answers questions: compiled, complete, immutable.
 *
 * @param name what the platform team calls it
 * @param type what kind of platform vouches for the workload
 * @param key the exact {@code iss}; for SPIFFE the trust domain
 * @param keys where its keys come from
 * @param algorithms the JWS algorithms it may use, asymmetric only
 * @param maxTokenAge the most that {@code exp − iat} may be
 * @param once whether one identity token may be presented only once
 * @param review the API server that must still vouch for the token, if any
 * @param x509 how its X.509-SVIDs are believed; null if they are not. For SPIFFE only
 * @param enabled whether its tokens are accepted at all
 * @param generation differs whenever anything above differs; whatever was remembered under another
 *     generation is forgotten
 */
public record TrustedIssuer(
    String name,
    Type type,
    String key,
    KeySource keys,
    Set<String> algorithms,
    Duration maxTokenAge,
    boolean once,
    @Nullable Review review,
    @Nullable X509Trust x509,
    boolean enabled,
    long generation) {

  /** Every algorithm that an issuer may be registered with (RFC 7518, RFC 8037, RFC 9864). */
  public static final Set<String> ASYMMETRIC =
      Set.of(
          "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
          "Ed25519");

  /**
   * Checks what must hold for any issuer.
   *
   * @throws IllegalArgumentException if the algorithms are none or not asymmetric, or the age is
   *     not positive
   */
  public TrustedIssuer {
    algorithms = Set.copyOf(algorithms);
    if (algorithms.isEmpty() || !ASYMMETRIC.containsAll(algorithms)) {
      throw new IllegalArgumentException("algorithms must be asymmetric, and at least one");
    }
    if (!maxTokenAge.isPositive()) {
      throw new IllegalArgumentException("maxTokenAge must be positive");
    }
    if (x509 != null && type != Type.SPIFFE) {
      throw new IllegalArgumentException("X.509-SVIDs are of a SPIFFE trust domain");
    }
    if (x509 instanceof X509Trust.OfBundle && !(keys instanceof KeySource.SpiffeBundle)) {
      throw new IllegalArgumentException("there is no bundle to have authorities");
    }
    if (key.isEmpty()) {
      throw new IllegalArgumentException("an issuer has an iss or a trust domain");
    }
  }

  /** What kind of platform vouches for the workload. */
  public enum Type {
    KUBERNETES,
    SPIFFE,
    OIDC
  }

  /**
   * The Kubernetes API server that reviews tokens.
   *
   * @param apiServer its base URL
   * @param tls how the connection is made
   */
  public record Review(URI apiServer, Tls tls) {}
}
