package io.valetkey.broker.identity;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A workload whose platform vouched for it. Only {@link IdentityVerifier} makes one, so whoever
 * holds one need not check the proof again.
 */
public final class VerifiedWorkload {

  private static final String FRAGMENT_CHARACTERS =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?";

  private final TrustedIssuer issuer;
  private final String subject;
  private final Map<String, @Nullable Object> claims;
  private final Instant issuedAt;
  private final Instant expiresAt;
  private final @Nullable String certificateThumbprint;

  VerifiedWorkload(
      TrustedIssuer issuer,
      String subject,
      Map<String, @Nullable Object> claims,
      Instant issuedAt,
      Instant expiresAt,
      @Nullable String certificateThumbprint) {
    this.issuer = issuer;
    this.subject = subject;
    this.claims = claims;
    this.issuedAt = issuedAt;
    this.expiresAt = expiresAt;
    this.certificateThumbprint = certificateThumbprint;
  }

  /** The registered issuer's name. */
  public String issuer() {
    return issuer.name();
  }

  /** The {@code sub} as the issuer wrote it: printable, at most 255 characters. */
  public String subject() {
    return subject;
  }

  /** Every claim of the identity token, unmodifiable; a certificate has none. */
  public Map<String, @Nullable Object> claims() {
    return claims;
  }

  /** When the identity token was issued, or the certificate began. */
  public Instant issuedAt() {
    return issuedAt;
  }

  /** When the identity token or the certificate ends; nothing issued for it may live longer. */
  public Instant expiresAt() {
    return expiresAt;
  }

  /** The identity token's own id, if it has one; always there if {@link #useOnce()}. */
  public @Nullable String jti() {
    return (String) claims.get("jti");
  }

  /** The pod the token is bound to, if a Kubernetes cluster says so. */
  public @Nullable String podUid() {
    return issuer.type() == TrustedIssuer.Type.KUBERNETES
            && claims.get("kubernetes.io") instanceof Map<?, ?> kubernetes
            && kubernetes.get("pod") instanceof Map<?, ?> pod
            && pod.get("uid") instanceof String uid
        ? uid
        : null;
  }

  /** The pod the token is bound to, if a Kubernetes cluster names it in full. */
  public @Nullable KubernetesPod pod() {
    String uid = podUid();
    return uid != null
            && KubernetesPod.isName(uid)
            && claims.get("kubernetes.io") instanceof Map<?, ?> kubernetes
            && kubernetes.get("namespace") instanceof String namespace
            && KubernetesPod.isName(namespace)
            && kubernetes.get("pod") instanceof Map<?, ?> pod
            && pod.get("name") instanceof String name
            && KubernetesPod.isName(name)
        ? new KubernetesPod(namespace, name, uid)
        : null;
  }

  /**
   * The thumbprint of the certificate that the workload proved to have the key of (RFC 8705 section
   * 3.1), or null if it came with an identity token.
   */
  public @Nullable String certificateThumbprint() {
    return certificateThumbprint;
  }

  /**
   * Whether what it came with may be presented only once, as the issuer's tokens may. A certificate
   * may be shown again: each handshake is a proof of its own.
   */
  public boolean useOnce() {
    return issuer.once() && certificateThumbprint == null;
  }

  /**
   * A stable name of this workload among all issuers, the {@code sub} of what we issue. A SPIFFE ID
   * is one already. For the others it is the issuer, {@code #}, and the subject with every
   * character that a fragment may not have percent-encoded (RFC 3986 section 3.5): the last {@code
   * #} divides the two, so different workloads never have the same name.
   */
  public String workloadUri() {
    return switch (issuer.type()) {
      case SPIFFE -> subject;
      case KUBERNETES, OIDC -> issuer.key() + '#' + fragment(subject);
    };
  }

  private static String fragment(String subject) {
    StringBuilder encoded = new StringBuilder(subject.length());
    for (byte b : subject.getBytes(StandardCharsets.UTF_8)) {
      if (b > 0 && FRAGMENT_CHARACTERS.indexOf(b) >= 0) {
        encoded.append((char) b);
      } else {
        encoded.append('%').append(HexFormat.of().withUpperCase().toHexDigits(b));
      }
    }
    return encoded.toString();
  }

  @Override
  public String toString() {
    return "VerifiedWorkload[" + workloadUri() + "]";
  }
}
