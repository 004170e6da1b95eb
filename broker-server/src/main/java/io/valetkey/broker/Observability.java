package io.valetkey.broker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.crypto.CryptoProvider;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.StopView;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * What the operators see. Readiness depends on what a correct answer depends on; liveness on
 * nothing outside the process. No label takes a value that an agent chooses.
 */
@Configuration(proxyBeanMethods = false)
class Observability {

  /** Ready when every view is fresh and the audit trail takes records. */
  @Bean
  HealthIndicator viewsHealthIndicator(
      StopView stops, PolicyView policy, AuditLog auditLog, BrokerSettings settings) {
    return () -> {
      boolean ready =
          stops.isFresh()
              && policy.ageMillis() <= settings.policyStaleness().toMillis()
              && auditLog.healthy();
      return (ready ? Health.up() : Health.outOfService()).build();
    };
  }

  @Bean
  MeterBinder brokerMeters(
      StopView stops, PolicyView policy, AuditLog auditLog, CryptoProvider crypto) {
    return registry -> {
      Gauge.builder("valetkey.stop.view.age", stops, s -> seconds(s.ageMillis()))
          .description("Age of the view of stops")
          .baseUnit("seconds")
          .register(registry);
      Gauge.builder("valetkey.policy.view.age", policy, p -> seconds(p.ageMillis()))
          .description("Age of the policy in memory")
          .baseUnit("seconds")
          .register(registry);
      Gauge.builder("valetkey.stop.epoch", stops, StopView::seenEpoch)
          .description("Highest stop epoch that this replica has seen")
          .register(registry);
      Gauge.builder("valetkey.audit.waiting", auditLog, AuditLog::waiting)
          .description("Audit records that wait to be written")
          .register(registry);
      Gauge.builder("valetkey.audit.healthy", auditLog, a -> a.healthy() ? 1 : 0)
          .description("1 while the audit trail takes records")
          .register(registry);
      FunctionCounter.builder("valetkey.audit.records", auditLog, AuditLog::written)
          .description("Audit records that are durable")
          .register(registry);
      FunctionCounter.builder("valetkey.audit.flushes", auditLog, AuditLog::flushes)
          .description("Statements that it took to write them")
          .register(registry);
      Gauge.builder("valetkey.crypto.accelerated", crypto, c -> c.accelerated() ? 1 : 0)
          .description("1 while the fast cryptographic provider is in use")
          .register(registry);
    };
  }

  private static double seconds(long millis) {
    return millis / 1000.0;
  }
}
