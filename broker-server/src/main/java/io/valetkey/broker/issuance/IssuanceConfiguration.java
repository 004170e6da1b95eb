package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.signal.PodsSeen;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.SigningKeys;
import io.valetkey.broker.token.TokenMinter;
import io.valetkey.broker.token.TokenSettings;
import io.valetkey.broker.upstream.Federation;
import jakarta.servlet.http.HttpServlet;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Wires the OAuth endpoints as plain servlets, each on exactly its own path. */
@Configuration(proxyBeanMethods = false)
public class IssuanceConfiguration {

  /** The agents that may introspect, with the destinations whose tokens they may see. */
  public record ResourceServers(Map<String, List<String>> destinationsByAgent) {}

  /** Where client certificates are asked for, if anywhere. */
  public record MutualTls(@Nullable String url) {}

  @Bean
  ClientCertificates clientCertificates(MutualTls mtls) {
    return new ClientCertificates(mtls.url() != null);
  }

  @Bean
  TokenMinter tokenMinter(TokenSettings settings, SigningKeys keys) {
    return new TokenMinter(settings, keys);
  }

  @Bean
  IssueToken issueToken(
      IdentityVerifier identities,
      UsedOnce usedOnce,
      Access access,
      TokenMinter minter,
      AuditLog auditLog,
      PodsSeen pods,
      Clock clock) {
    return new IssueToken(identities, usedOnce, access, minter, auditLog, pods, clock);
  }

  @Bean
  ServletRegistrationBean<HttpServlet> tokenEndpoint(
      IssueToken issueToken,
      AuditLog auditLog,
      DpopProofs proofs,
      TokenSettings settings,
      ClientCertificates certificates,
      @Qualifier("tokenTelemetry") EndpointTelemetry telemetry) {
    var servlet =
        new TokenEndpoint(issueToken, auditLog, proofs, settings, certificates, telemetry);
    return at(servlet, "token", OAuthPaths.TOKEN);
  }

  @Bean
  ServletRegistrationBean<HttpServlet> oauthDocuments(
      SigningKeys keys, TokenSettings settings, MutualTls mtls) {
    return at(
        new OAuthDocuments(keys, settings, mtls.url()),
        "oauth-documents",
        OAuthPaths.JWKS,
        OAuthPaths.METADATA,
        OAuthPaths.DISCOVERY);
  }

  @Bean
  @ConditionalOnProperty(Federation.SETTING)
  ServletRegistrationBean<HttpServlet> federationDocuments(Federation federation) {
    return at(
        new FederationDocuments(federation),
        "federation-documents",
        OAuthPaths.FEDERATION_JWKS,
        OAuthPaths.FEDERATION_DISCOVERY);
  }

  @Bean
  ServletRegistrationBean<HttpServlet> revocation(
      AccessTokens tokens, StopStore stops, StopView view, RateLimits limits, AuditLog auditLog) {
    return at(
        new Revocation(tokens, stops, view, limits, auditLog), "revocation", OAuthPaths.REVOKE);
  }

  @Bean
  ServletRegistrationBean<HttpServlet> introspection(
      IdentityVerifier identities,
      PolicyView policy,
      StopView stops,
      Access access,
      AccessTokens tokens,
      AuditLog auditLog,
      TokenSettings settings,
      ResourceServers servers) {
    var servlet =
        new Introspection(
            identities,
            policy,
            stops,
            access,
            tokens,
            auditLog,
            settings,
            servers.destinationsByAgent());
    return at(servlet, "introspection", OAuthPaths.INTROSPECT);
  }

  @Bean
  TokenHolders tokenHolders(
      AccessTokens tokens,
      DpopProofs proofs,
      TokenSettings settings,
      ClientCertificates certificates) {
    return new TokenHolders(tokens, proofs, settings, certificates);
  }

  @Bean
  ServletRegistrationBean<HttpServlet> leaseEndpoint(
      TokenHolders holders,
      Leases leases,
      Access access,
      AuditLog auditLog,
      @Qualifier("leaseTelemetry") EndpointTelemetry telemetry,
      Clock clock) {
    return at(
        new LeaseEndpoint(holders, leases, access, auditLog, telemetry, clock),
        "leases",
        OAuthPaths.LEASES,
        OAuthPaths.LEASES + "/*");
  }

  @Bean
  ServletRegistrationBean<HttpServlet> awsCredentials(
      IdentityVerifier identities,
      UsedOnce usedOnce,
      PodsSeen pods,
      AccessTokens tokens,
      TokenHolders holders,
      Access access,
      Leases leases,
      AuditLog auditLog,
      @Qualifier("leaseTelemetry") EndpointTelemetry telemetry) {
    var servlet =
        new AwsCredentials(
            identities, usedOnce, pods, tokens, holders, access, leases, auditLog, telemetry);
    return at(servlet, "aws-credentials", OAuthPaths.AWS_CREDENTIALS + "/*");
  }

  private static ServletRegistrationBean<HttpServlet> at(
      HttpServlet servlet, String name, String... paths) {
    var registration = new ServletRegistrationBean<>(servlet, paths);
    registration.setName(name);
    registration.setLoadOnStartup(1);
    return registration;
  }
}
