package io.valetkey.broker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.admin.AdminConfiguration;
import io.valetkey.broker.admin.AuditedChanges;
import io.valetkey.broker.approval.ApprovalDecisions;
import io.valetkey.broker.approval.Approvals;
import io.valetkey.broker.approval.PendingApprovals;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.control.AdminSettings;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.DestinationTests;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.RoleClaim;
import io.valetkey.broker.control.StopOrders;
import io.valetkey.broker.control.TrailVerification;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.ChangeLog;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ResourceJson;
import io.valetkey.broker.policy.ResourceValidator;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.upstream.SelfTests;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.convert.DurationStyle;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** What the admin API needs beside the core. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
@Import({AdminConfiguration.class, DeclarationConfiguration.class})
class AdminRoleConfiguration {

  /** A change is made within this time or refused. */
  private static final int WRITE_SECONDS = 2;

  /** Checks the settings of the admin API together with all others. Its provider, if any. */
  static AdminSettings.@Nullable Oidc check(SettingsReader reader) {
    String token = reader.text("admin.bootstrap-token");
    if (token != null && token.length() < BootstrapToken.LEAST_LENGTH) {
      reader.problem(
          "admin.bootstrap-token",
          "must have at least " + BootstrapToken.LEAST_LENGTH + " characters");
    }
    reader.duration(
        "admin.bootstrap-ttl", Duration.ofHours(1), Duration.ofSeconds(1), Duration.ofDays(1));
    return oidc(reader);
  }

  private static AdminSettings.@Nullable Oidc oidc(SettingsReader reader) {
    String issuer = reader.text("admin.oidc.issuer");
    String audience = reader.text("admin.oidc.audience");
    String rolesClaim = reader.text("admin.oidc.roles-claim");
    List<String> mapping = reader.list("admin.oidc.role-mapping");
    String jwksUri = reader.text("admin.oidc.jwks-uri");
    boolean signsIn = reader.text("console.oidc.client-id") != null;
    if (!signsIn
        && mapping.isEmpty()
        && Stream.of(issuer, audience, rolesClaim, jwksUri).allMatch(Objects::isNull)) {
      return null;
    }
    if (issuer == null) {
      reader.problem("admin.oidc.issuer", "is missing");
    } else if (reader.secureUrl("admin.oidc.issuer") != null
        && issuer.equals(reader.text("public-url"))) {
      reader.problem("admin.oidc.issuer", "must not be this broker: agents' tokens come from it");
    }
    if (audience == null && !signsIn) {
      reader.problem("admin.oidc.audience", "is missing");
    }
    var _ = reader.secureUrl("admin.oidc.jwks-uri");
    var roles = new RoleClaim(rolesClaim == null ? "roles" : rolesClaim, meanings(reader, mapping));
    return new AdminSettings.Oidc(issuer == null ? "" : issuer, audience, roles, jwksUri);
  }

  private static Map<String, Role> meanings(SettingsReader reader, List<String> mapping) {
    Map<String, Role> meanings = new HashMap<>();
    for (String pair : mapping) {
      int sign = pair.lastIndexOf('=');
      String value = pair.substring(0, Math.max(sign, 0)).strip();
      Role role = Role.named(pair.substring(sign + 1).strip()).orElse(null);
      if (value.isEmpty() || role == null || meanings.put(value, role) != null) {
        reader.problem(
            "admin.oidc.role-mapping",
            "must be value=role, with sensor, viewer, approver, operator or admin and each value once");
      }
    }
    return meanings;
  }

  @Bean
  AdminSettings adminSettings(BrokerSettings settings, ConfigurableEnvironment environment) {
    String ttl = environment.getProperty("valetkey.admin.bootstrap-ttl", "1h");
    return new AdminSettings(
        settings.names().issuer(),
        DurationStyle.SIMPLE.parse(ttl),
        oidc(new SettingsReader(environment)));
  }

  @Bean
  BootstrapToken bootstrapToken(
      JdbcClient database, Environment environment, AdminSettings settings, Clock clock) {
    String token = environment.getProperty("valetkey.admin.bootstrap-token");
    return new BootstrapToken(
        database,
        token == null || token.isBlank() ? null : SecretValue.of(token.strip()),
        settings.bootstrapTtl(),
        clock);
  }

  @Bean
  StopOrders stopOrders(StopStore stops, Clock clock) {
    return new StopOrders(stops, clock);
  }

  @Bean
  PendingApprovals pendingApprovals() {
    return new PendingApprovals();
  }

  @Bean
  MeterBinder approvalMeters(PendingApprovals pending, Approvals approvals) {
    ApprovalDecisions decisions = approvals.decisions();
    return registry -> {
      Meters.gauge(
          registry,
          "valetkey.approval.pending",
          "Requests that wait for somebody to approve or deny them",
          pending,
          PendingApprovals::pending);
      Meters.seconds(
          registry,
          "valetkey.approval.pending.age",
          "For how long the oldest of them has waited",
          pending,
          PendingApprovals::oldestSeconds);
      FunctionCounter.builder("valetkey.approval.decided", decisions, ApprovalDecisions::approved)
          .description("Decisions of people about requests, at this replica")
          .tag("decision", "approved")
          .register(registry);
      FunctionCounter.builder("valetkey.approval.decided", decisions, ApprovalDecisions::denied)
          .description("Decisions of people about requests, at this replica")
          .tag("decision", "denied")
          .register(registry);
    };
  }

  @Bean
  AuditTrailQuery auditTrailQuery(JdbcClient database) {
    return new AuditTrailQuery(database);
  }

  @Bean
  TrailVerification trailVerification(AuditVerifier verifier) {
    return new TrailVerification(verifier);
  }

  @Bean
  DestinationTests destinationTests(
      Leases leases, Connections connections, PolicyView policy, AuditLog auditLog) {
    return new DestinationTests(
        leases.selfTest()::run, new SelfTests(connections), policy, auditLog);
  }

  @Bean
  Explanation explanation(
      PolicyView policy, StopView stops, IdentityVerifier identities, Clock clock) {
    return new Explanation(policy, stops, identities, clock);
  }

  @Bean
  AuditedChanges auditedChanges(Clock clock) {
    return new AuditedChanges(clock);
  }

  @Bean
  ChangeLog changeLog(DataSource dataSource, AuditedChanges recorder) {
    return new ChangeLog(dataSource, recorder);
  }

  @Bean
  PolicyStore policyStore(
      DataSource dataSource,
      PlatformTransactionManager transactions,
      ResourceValidator validator,
      ChangeLog log) {
    return new PolicyStore(
        dataSource, within(WRITE_SECONDS, transactions), new ResourceJson(), validator, log);
  }

  private static TransactionTemplate within(int seconds, PlatformTransactionManager transactions) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(seconds);
    return bounded;
  }

  /** Addresses that only the moment of connecting can judge, such as our own, are judged there. */
  @Bean
  ResourceValidator resourceValidator(BrokerSettings settings) {
    AddressRules destinations =
        AddressRules.forDestinations(settings.gateway().privateOrigins(), Set.of());
    AddressRules issuers = AddressRules.forIssuers(Set.of());
    return new ResourceValidator(
        address -> destinations.allows(address, 0),
        address -> issuers.allows(address, 0),
        file -> file.startsWith("/var/run/secrets") || file.startsWith("/run/secrets"));
  }
}
