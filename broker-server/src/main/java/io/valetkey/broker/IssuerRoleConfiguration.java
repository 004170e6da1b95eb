package io.valetkey.broker;

import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.TrustedIssuers;
import io.valetkey.broker.issuance.IssuanceConfiguration;
import io.valetkey.broker.issuance.OAuthPaths;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.PolicyView;
import java.time.Clock;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.security.web.DefaultSecurityFilterChain;
import org.springframework.security.web.SecurityFilterChain;

/** What the issuer role needs beside the core. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
@Import({IssuanceConfiguration.class, LeaseConfiguration.class})
class IssuerRoleConfiguration {

  @Bean
  IdentityVerifier identityVerifier(
      PolicyView policy, CryptoProvider crypto, BrokerSettings settings, Clock clock) {
    AddressRules rules = AddressRules.forIssuers(Set.of());
    return new IdentityVerifier(
        new CurrentIssuers(policy),
        settings.names().issuer(),
        crypto,
        address -> rules.check(address, 0) == AddressRules.Verdict.ALLOWED,
        true,
        clock);
  }

  /**
   * The OAuth endpoints authenticate by what their requests carry and check it themselves; no
   * filter of Spring Security stands before them. Everything that no chain names is denied by the
   * admin's chain.
   */
  @Bean
  @Order(Ordered.HIGHEST_PRECEDENCE)
  SecurityFilterChain oauthEndpoints() {
    Set<String> paths =
        Set.of(
            OAuthPaths.TOKEN,
            OAuthPaths.JWKS,
            OAuthPaths.INTROSPECT,
            OAuthPaths.REVOKE,
            OAuthPaths.METADATA,
            OAuthPaths.DISCOVERY,
            OAuthPaths.LEASES);
    return new DefaultSecurityFilterChain(request -> {
      String path = request.getRequestURI();
      return paths.contains(path)
          || path.startsWith(OAuthPaths.LEASES + "/")
          || path.startsWith(OAuthPaths.AWS_CREDENTIALS + "/");
    });
  }

  @Bean
  IssuanceConfiguration.ResourceServers resourceServers(BrokerSettings settings) {
    return new IssuanceConfiguration.ResourceServers(settings.introspection());
  }

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
}
