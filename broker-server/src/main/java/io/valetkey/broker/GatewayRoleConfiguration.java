package io.valetkey.broker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.approval.ApprovalWaits;
import io.valetkey.broker.approval.Approvals;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.gateway.AuditTrail;
import io.valetkey.broker.gateway.BrokerApprovals;
import io.valetkey.broker.gateway.BrokerCredentials;
import io.valetkey.broker.gateway.BrokerPermissions;
import io.valetkey.broker.gateway.CertificateCallers;
import io.valetkey.broker.gateway.DestinationHosts;
import io.valetkey.broker.gateway.Egress;
import io.valetkey.broker.gateway.ExchangeCutter;
import io.valetkey.broker.gateway.ExchangeReport;
import io.valetkey.broker.gateway.ForwardProxy;
import io.valetkey.broker.gateway.GatewayServer;
import io.valetkey.broker.gateway.GatewaySettings;
import io.valetkey.broker.gateway.GatewayTelemetry;
import io.valetkey.broker.gateway.InterceptionCertificates;
import io.valetkey.broker.gateway.LiveExchanges;
import io.valetkey.broker.gateway.SelfTestRunner;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.net.Cidr;
import io.valetkey.broker.net.Resolver;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.CutCounts;
import io.valetkey.broker.stop.GatewayReplica;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.telemetry.Telemetry;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.SigningKeys;
import io.valetkey.broker.upstream.SelfTests;
import io.valetkey.broker.upstream.UpstreamCredentials;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultPki;
import io.vertx.core.Vertx;
import java.net.InetAddress;
import java.security.GeneralSecurityException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.ConfigurableEnvironment;

/** What the gateway role needs beside the core. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Gateway.class)
@Import({CredentialConfiguration.class, VaultConfiguration.class, FederationConfiguration.class})
class GatewayRoleConfiguration {

  private static final Duration KEEP_ADDRESSES = Duration.ofSeconds(30);
  private static final Duration RESOLVE = Duration.ofSeconds(5);

  /** With the other listeners: starts after every view is complete, stops before any of them. */
  private static final int AS_LISTENER = Integer.MAX_VALUE - 2048;

  @Bean(destroyMethod = "close")
  Vertx vertx() {
    return Vertx.vertx();
  }

  @Bean
  LiveExchanges liveExchanges() {
    return new LiveExchanges();
  }

  /** Its expiry is a metric, so that a renewal that does not come is noticed. */
  @Bean
  ServerCertificate gatewayCertificate(BrokerSettings settings, SslBundles bundles) {
    return new ServerCertificate(
        "valetkey.gateway.ssl-bundle", settings.gateway().sslBundle(), bundles);
  }

  @Bean
  GatewayTelemetry gatewayTelemetry(Telemetry telemetry, MeterRegistry registry) {
    return new GatewayTelemetry(telemetry, registry);
  }

  @Bean
  @ConditionalOnProperty("valetkey.gateway.forward.port")
  InterceptionCertificates interceptionCertificates(
      BrokerSettings settings, SslBundles bundles, Clock clock) {
    return InterceptionKeys.of(settings.gateway().interception(), bundles, clock);
  }

  @Bean(destroyMethod = "close")
  @ConditionalOnProperty("valetkey.gateway.forward.ca-vault-pki")
  InterceptionRenewal interceptionRenewal(
      BrokerSettings settings,
      @Qualifier("vaultConnection") VaultConnection vault,
      InterceptionCertificates certificates,
      Clock clock) {
    InterceptionSettings wanted = settings.gateway().interception();
    var pki = new VaultPki(vault, Objects.requireNonNull(wanted.vaultPki()));
    return new InterceptionRenewal(pki, wanted, certificates, clock);
  }

  @Bean
  @ConditionalOnProperty("valetkey.gateway.forward.port")
  MeterBinder interceptionMeters(InterceptionCertificates certificates) {
    return registry ->
        Gauge.builder(
                "valetkey.gateway.interception.not.after",
                certificates,
                InterceptionCertificates::notAfter)
            .description("When the forward proxy's authority ends, in seconds since 1970")
            .baseUnit("seconds")
            .register(registry);
  }

  @Bean
  ApprovalWaits approvalWaits() {
    return new ApprovalWaits();
  }

  @Bean
  GatewayServer gatewayServer(
      Vertx vertx,
      BrokerSettings settings,
      AuditLog auditLog,
      AccessTokens tokens,
      DpopProofs proofs,
      IdentityVerifier identities,
      Access access,
      UpstreamCredentials credentials,
      Approvals approvals,
      ApprovalWaits approvalWaits,
      RateLimits limits,
      LiveExchanges live,
      ServerCertificate certificate,
      GatewayTelemetry telemetry,
      Clock clock,
      ObjectProvider<InterceptionCertificates> interception,
      ConfigurableEnvironment environment)
      throws GeneralSecurityException {
    BrokerSettings.Gateway own = settings.gateway();
    String publicUrl = settings.names().gatewayUrl();
    String suffix = own.hostSuffix();
    GatewaySettings listening =
        GatewaySettings.of(
            own.address(),
            own.port(),
            publicUrl,
            suffix == null ? null : new DestinationHosts(suffix, publicUrl),
            own.clientCertificates(),
            own.drain());
    AddressRules rules =
        AddressRules.forDestinations(own.privateOrigins(), OwnAddresses.of(environment));
    GatewayServer gateway =
        new GatewayServer(
            vertx,
            listening,
            new AuditTrail(auditLog),
            new BrokerPermissions(
                tokens, proofs, new CertificateCallers(identities, access, clock), access),
            egress(own, rules, clock),
            new BrokerCredentials(credentials),
            new BrokerApprovals(approvals.store(), approvalWaits, limits),
            live,
            UpstreamTrust.of(own.trustedCertificates()),
            certificate.current(),
            telemetry,
            clock);
    certificate.onRenewal(gateway::renew);
    if (own.forward() != null) {
      gateway.forward(
          new ForwardProxy(
              vertx, gateway, own.forward(), interception.getObject(), certificate.current()));
    }
    return gateway;
  }

  private static Egress egress(BrokerSettings.Gateway own, AddressRules rules, Clock clock) {
    Resolver straight = resolver(rules, clock);
    UpstreamProxySettings proxy = own.upstreamProxy();
    if (proxy == null) {
      return new Egress(straight);
    }
    // Whoever runs the gateway named it, so it may be private; a metadata address it cannot be.
    List<Cidr> anywhere = List.of(Cidr.parse("0.0.0.0/0"), Cidr.parse("::/0"));
    AddressRules proxys = AddressRules.forDestinations(anywhere, Set.of());
    return new Egress(straight, proxy.proxy(), resolver(proxys, clock));
  }

  private static Resolver resolver(AddressRules rules, Clock clock) {
    return new Resolver(rules, InetAddress::getAllByName, KEEP_ADDRESSES, RESOLVE, clock);
  }

  @Bean
  GatewayReplica gatewayReplica(StopView stops, CutCounts cuts, BrokerSettings settings) {
    return new GatewayReplica(stops, cuts, settings.stopStaleness());
  }

  /** Among what follows the database, after the policy. */
  @Bean
  SelfTestRunner selfTestRunner(
      Connections connections,
      PolicyView policy,
      StopView stops,
      GatewayServer gateway,
      AuditLog auditLog) {
    return new SelfTestRunner(new SelfTests(connections), policy, stops, gateway, auditLog);
  }

  @Bean
  ExchangeReport exchangeReport(LiveExchanges live) {
    return new ExchangeReport(live);
  }

  @Bean
  ExchangeCutter exchangeCutter(
      LiveExchanges live, Access access, CutCounts counts, GatewayServer gateway) {
    return new ExchangeCutter(live, access, counts, gateway);
  }

  /** Ends what a change has made wrong, on the thread that took the change in. */
  @Bean
  SmartLifecycle gatewayLifecycle(
      GatewayServer gateway,
      ExchangeCutter cutter,
      UpstreamCredentials credentials,
      StopView stops,
      PolicyView policy,
      SigningKeys keys,
      GatewayReplica replica,
      SelfTestRunner selfTests,
      ChangeFeed feed,
      Connections connections) {
    // Last, so that a test meets the policy that had been stored when it was asked for.
    feed.subscribe(selfTests);
    stops.onChange(change -> {
      cutter.stopsChanged(change);
      selfTests.stopsChanged();
      credentials.dropAll();
      gateway.dropIdleConnections();
    });
    policy.onChange(cutter::policyChanged);
    keys.onRevocation(() -> cutter.keysRevoked(keys::counts));
    return new Listening(gateway, replica, connections);
  }

  @Bean
  MeterBinder gatewayMeters(
      LiveExchanges live,
      ExchangeCutter cutter,
      GatewayServer gateway,
      GatewayTelemetry telemetry,
      UpstreamCredentials credentials,
      StopView stops,
      ServerCertificate certificate) {
    return registry -> {
      if (certificate.current() != null) {
        Gauge.builder(
                "valetkey.gateway.certificate.not.after", certificate, ServerCertificate::notAfter)
            .description("When the gateway's own certificate ends, in seconds since 1970")
            .baseUnit("seconds")
            .register(registry);
      }
      Meters.outcomes(
          registry,
          "valetkey.gateway.requests",
          "Requests through the gateway; granted is an answer of the destination",
          telemetry.outcomes());
      Meters.counter(
          registry,
          "valetkey.gateway.abandoned",
          "Requests whose caller went away before the answer was complete",
          telemetry,
          GatewayTelemetry::abandoned);
      Meters.gauge(
          registry,
          "valetkey.gateway.pools",
          "Pools of connections to destinations",
          gateway,
          GatewayServer::pools);
      Meters.gauge(
          registry,
          "valetkey.gateway.deferred.records",
          "Audit records of cut exchanges that wait for the database",
          gateway,
          GatewayServer::deferredRecords);
      Meters.seconds(
          registry,
          "valetkey.gateway.report.age",
          "Time since this gateway's last report, which it serves by",
          stops,
          StopView::reportAgeSeconds);
      Meters.gauge(
          registry,
          "valetkey.credential.held",
          "Credentials in memory or being fetched",
          credentials,
          UpstreamCredentials::size);
      Meters.seconds(
          registry,
          "valetkey.credential.oldest.age",
          "Age of the oldest credential in memory",
          credentials,
          UpstreamCredentials::oldestAgeSeconds);
      Gauge.builder("valetkey.gateway.exchanges", live, LiveExchanges::size)
          .description("Exchanges that are open")
          .register(registry);
      FunctionCounter.builder("valetkey.gateway.cut", cutter, ExchangeCutter::stopped)
          .description("Exchanges that were ended from outside")
          .tag("reason", "stopped")
          .register(registry);
      FunctionCounter.builder("valetkey.gateway.cut", cutter, ExchangeCutter::stale)
          .description("Exchanges that were ended from outside")
          .tag("reason", "stale")
          .register(registry);
    };
  }

  private static final class Listening implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(Listening.class);

    private final GatewayServer gateway;
    private final GatewayReplica replica;
    private final Connections connections;

    Listening(GatewayServer gateway, GatewayReplica replica, Connections connections) {
      this.gateway = gateway;
      this.replica = replica;
      this.connections = connections;
    }

    @Override
    public void start() {
      gateway.start();
    }

    @Override
    public void stop() {
      gateway.stop();
      try (Connection connection = connections.open()) {
        replica.signOff(connection);
      } catch (SQLException e) {
        log.info("Stops will wait for this gateway for a while: {}", e.getMessage());
      }
    }

    @Override
    public boolean isRunning() {
      return gateway.isRunning();
    }

    @Override
    public int getPhase() {
      return AS_LISTENER;
    }
  }
}
