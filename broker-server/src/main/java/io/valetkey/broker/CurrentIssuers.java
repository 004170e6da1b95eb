package io.valetkey.broker;

import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.TrustedIssuers;
import io.valetkey.broker.policy.PolicyView;
import org.jspecify.annotations.Nullable;

/** The issuers of the policy as it is at each question. */
record CurrentIssuers(PolicyView policy) implements TrustedIssuers {

  @Override
  public @Nullable TrustedIssuer byIssuer(String iss) {
    return policy.current().byIssuer(iss);
  }

  @Override
  public @Nullable TrustedIssuer byTrustDomain(String domain) {
    return policy.current().byTrustDomain(domain);
  }
}
