package io.valetkey.broker.identity;

import org.jspecify.annotations.Nullable;

/**
 * The registered issuers. Both look-ups are exact, read memory only, and may be asked with anything
 * that an unverified token says.
 */
public interface TrustedIssuers {

  /** The Kubernetes or OIDC issuer with exactly this {@code iss}, enabled or not. */
  @Nullable TrustedIssuer byIssuer(String iss);

  /** The SPIFFE issuer of exactly this trust domain, enabled or not. */
  @Nullable TrustedIssuer byTrustDomain(String domain);
}
