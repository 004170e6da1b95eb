package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.issuance.EndpointTelemetry;
import io.valetkey.broker.issuance.IssuanceConfiguration;
import io.valetkey.broker.issuance.OAuthPaths;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.GatewayCensus;
import io.valetkey.broker.stop.StopAcknowledgement;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.telemetry.Telemetry;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
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
@Import({IssuanceConfiguration.class, LeaseConfiguration.class, FederationConfiguration.class})
class IssuerRoleConfiguration {

  @Bean
  IssuerMeters issuerMeters(IdentityVerifier identities, PolicyView policy) {
    return new IssuerMeters(identities, policy);
  }

  @Bean
  EndpointTelemetry tokenTelemetry(Telemetry telemetry, MeterRegistry registry) {
    return new EndpointTelemetry(telemetry, registry, "token");
  }

  @Bean
  EndpointTelemetry leaseTelemetry(Telemetry telemetry, MeterRegistry registry) {
    return new EndpointTelemetry(telemetry, registry, "lease");
  }

  @Bean
  MeterBinder issuingMeters(
      @Qualifier("tokenTelemetry") EndpointTelemetry tokens,
      @Qualifier("leaseTelemetry") EndpointTelemetry leases) {
    return registry -> {
      Meters.outcomes(
          registry, "valetkey.token.requests", "Requests for tokens", tokens.outcomes());
      Meters.outcomes(
          registry, "valetkey.lease.requests", "Requests about leases", leases.outcomes());
    };
  }

  /** Follows how stops reach the gateways. */
  @Bean
  StopAcknowledgement stopAcknowledgement(
      StopView stops, GatewayCensus census, MeterRegistry registry) {
    Timer acknowledged =
        Timer.builder("valetkey.stop.acknowledged")
            .description("From when a change of stops was seen until every gateway acted upon it")
            .serviceLevelObjectives(
                Duration.ofMillis(250),
                Duration.ofMillis(500),
                Duration.ofSeconds(1),
                Duration.ofSeconds(2),
                Duration.ofSeconds(5),
                Duration.ofSeconds(12))
            .register(registry);
    var following =
        new StopAcknowledgement(
            stops, census, nanos -> acknowledged.record(nanos, TimeUnit.NANOSECONDS));
    Meters.seconds(
        registry,
        "valetkey.stop.unacknowledged.age",
        "For how long the oldest change of stops has not reached every gateway; 0 if all have",
        following,
        StopAcknowledgement::oldestSeconds);
    return following;
  }

  /**
   * The OAuth endpoints authenticate by what their requests carry and check it themselves; no
   * filter of Spring Security stands before them. Everything that no chain names is denied by the
   * admin's chain.
   */
  @Bean
  @Order(Ordered.HIGHEST_PRECEDENCE)
  SecurityFilterChain oauthEndpoints() {
    return new DefaultSecurityFilterChain(request -> OAuthPaths.isOne(request.getRequestURI()));
  }

  @Bean
  IssuanceConfiguration.ResourceServers resourceServers(BrokerSettings settings) {
    return new IssuanceConfiguration.ResourceServers(settings.introspection());
  }

  @Bean
  IssuanceConfiguration.MutualTls mutualTls(BrokerSettings settings) {
    BrokerSettings.Mtls mtls = settings.mtls();
    return new IssuanceConfiguration.MutualTls(mtls == null ? null : mtls.url());
  }

  /** Only of the API's own server: a bean of the management port's context would be another. */
  @Bean
  WebServerFactoryCustomizer<TomcatServletWebServerFactory> mutualTlsListener(
      BrokerSettings settings, SslBundles bundles) {
    BrokerSettings.Mtls mtls = settings.mtls();
    return mtls == null ? factory -> {} : new MutualTlsListener(mtls, bundles);
  }
}
