package io.valetkey.broker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.feed.ChangeFeed;
import io.valetkey.broker.limit.GrantBudgets;
import io.valetkey.broker.limit.GrantRates;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.token.SigningKeys;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.ApplicationListener;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * What the operators see of the process as a whole. Readiness depends on what a correct answer
 * depends on for every destination; liveness on nothing outside the process. No label takes a value
 * that an agent chooses.
 */
@Configuration(proxyBeanMethods = false)
class Observability {

  /** Our version, as the build wrote it into the jar. */
  static String version() {
    String version = BrokerApplication.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  /** For both roles: without a fresh view nothing is decided. */
  @Bean
  HealthIndicator viewsHealthIndicator(StopView stops, PolicyView policy, BrokerSettings settings) {
    return () ->
        health(stops.isFresh() && policy.ageMillis() <= settings.policyStaleness().toMillis());
  }

  /** Who issues also needs a trail that takes records, and a key that others can see. */
  @Bean
  HealthIndicator issuingHealthIndicator(
      AuditLog auditLog, SigningKeys keys, BrokerSettings settings) {
    boolean issues = settings.has(BrokerSettings.ISSUER);
    return () -> health(!issues || (auditLog.healthy() && keys.isPublished()));
  }

  private static Health health(boolean ready) {
    return (ready ? Health.up() : Health.outOfService()).build();
  }

  /** Up once everything has started, and then for good. */
  @Bean
  StartedHealthIndicator startedHealthIndicator() {
    return new StartedHealthIndicator();
  }

  static final class StartedHealthIndicator
      implements HealthIndicator, ApplicationListener<ApplicationReadyEvent> {

    private final AtomicBoolean started = new AtomicBoolean();

    @Override
    public void onApplicationEvent(ApplicationReadyEvent event) {
      started.set(true);
    }

    @Override
    public Health health() {
      return Observability.health(started.get());
    }
  }

  @Bean
  MeterBinder processMeters(BrokerSettings settings, CryptoProvider crypto) {
    return registry -> {
      Gauge.builder("valetkey.build.info", () -> 1)
          .description("Always 1; the labels say what runs here")
          .tag("version", version())
          .tag("roles", String.join("+", settings.roles()))
          .register(registry);
      Meters.gauge(
          registry,
          "valetkey.crypto.accelerated",
          "1 while the fast cryptographic provider is in use",
          crypto,
          c -> c.accelerated() ? 1 : 0);
    };
  }

  @Bean
  MeterBinder limitMeters(GrantRates rates, GrantBudgets budgets) {
    return registry -> {
      String says = "Requests over a limit of their grant, or refused because nobody knew in time";
      FunctionCounter.builder("valetkey.limits.refused", rates, r -> r.usedUp() + budgets.usedUp())
          .description(says)
          .tag("reason", "used_up")
          .register(registry);
      FunctionCounter.builder(
              "valetkey.limits.refused", rates, r -> r.unknown() + budgets.unknown())
          .description(says)
          .tag("reason", "unknown")
          .register(registry);
      String tokens =
          "Model tokens charged to budgets: stated by the upstream, or estimated by size";
      FunctionCounter.builder("valetkey.limits.model.tokens", budgets, GrantBudgets::read)
          .description(tokens)
          .tag("counted", "stated")
          .register(registry);
      FunctionCounter.builder("valetkey.limits.model.tokens", budgets, GrantBudgets::estimated)
          .description(tokens)
          .tag("counted", "estimated")
          .register(registry);
      Meters.gauge(
          registry,
          "valetkey.limits.grants",
          "Limits of grants that were used here within the last minutes",
          rates,
          r -> r.size() + budgets.size());
    };
  }

  @Bean
  MeterBinder viewMeters(
      StopView stops, PolicyView policy, ChangeFeed feed, SigningKeys keys, Clock clock) {
    return registry -> {
      Meters.gauge(
          registry,
          "valetkey.database.reachable",
          "1 while the database answers the change feed",
          feed,
          f -> f.isHealthy() ? 1 : 0);
      Meters.seconds(
          registry,
          "valetkey.stop.view.age",
          "Age of the view of stops",
          stops,
          s -> Meters.seconds(s.ageMillis()));
      Meters.gauge(
          registry,
          "valetkey.stop.view.fresh",
          "1 while this replica may act upon its view of stops",
          stops,
          s -> s.isFresh() ? 1 : 0);
      Meters.gauge(
          registry,
          "valetkey.stop.epoch",
          "Highest stop epoch that this replica has seen",
          stops,
          StopView::seenEpoch);
      Meters.gauge(
          registry,
          "valetkey.stop.in.force",
          "Stops in force, without those of single tokens",
          stops,
          s -> s.inForce().count());
      Meters.seconds(
          registry,
          "valetkey.stop.in.force.age",
          "Since when the oldest of them is in force; 0 if there is none",
          stops,
          s -> age(s.inForce().oldest(), clock));
      Meters.seconds(
          registry,
          "valetkey.policy.view.age",
          "Age of the policy in memory",
          policy,
          p -> Meters.seconds(p.ageMillis()));
      Meters.seconds(
          registry,
          "valetkey.signing.key.age",
          "Age of the key that signs; NaN where nothing is signed",
          keys,
          SigningKeys::ageSeconds);
      Meters.gauge(
          registry,
          "valetkey.signing.keys.published",
          "Public keys that verify access tokens, of all replicas",
          keys,
          k -> k.published().size());
    };
  }

  private static double age(@Nullable Instant since, Clock clock) {
    return since == null
        ? 0
        : Math.max(0, Meters.seconds(Duration.between(since, clock.instant()).toMillis()));
  }

  @Bean
  MeterBinder auditMeters(AuditLog auditLog) {
    return registry -> {
      Meters.gauge(
          registry,
          "valetkey.audit.waiting",
          "Audit records that wait to be written",
          auditLog,
          AuditLog::waiting);
      Meters.gauge(
          registry,
          "valetkey.audit.healthy",
          "1 while the audit trail takes records",
          auditLog,
          a -> a.healthy() ? 1 : 0);
      Meters.counter(
          registry,
          "valetkey.audit.records",
          "Audit records that are durable",
          auditLog,
          AuditLog::written);
      Meters.counter(
          registry,
          "valetkey.audit.flushes",
          "Statements that it took to write them",
          auditLog,
          AuditLog::flushes);
      Meters.counter(
          registry,
          "valetkey.audit.flush.seconds",
          "Time that these statements took together",
          auditLog,
          a -> a.flushNanos() / 1e9);
    };
  }
}
