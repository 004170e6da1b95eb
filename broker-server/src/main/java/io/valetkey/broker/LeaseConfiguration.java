package io.valetkey.broker;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.access.Access;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.lease.LeaseSettings;
import io.valetkey.broker.lease.Leases;
import io.valetkey.broker.lease.Reaper;
import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.StopView;
import java.time.Clock;
import java.time.Duration;
import javax.sql.DataSource;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Leased credentials: part of the issuer role, because whoever issues also takes back. */
@Configuration(proxyBeanMethods = false)
class LeaseConfiguration {

  private static final int STEP_SECONDS = 2;

  /** After the views, before the listeners. */
  private static final int AFTER_VIEWS = 100;

  /** Reads the settings of this part, noting what is wrong with them. */
  static LeaseSettings check(SettingsReader reader) {
    String policy = reader.text("lease.owner-policy", "valetkey-lease-{mount}-{role}");
    if (!policy.matches("[A-Za-z0-9_.-]*(\\{(mount|role)}[A-Za-z0-9_.-]*){0,2}")) {
      reader.problem(
          "lease.owner-policy", "must be a policy name, with {mount} and {role} in it at most");
    }
    String role = reader.text("lease.token-role", "valetkey-lease");
    if (!role.matches("[A-Za-z0-9_.-]{1,128}")) {
      reader.problem("lease.token-role", "must be the name of a token role");
    }
    return new LeaseSettings(
        role,
        policy,
        reader.duration(
            "lease.revocation-bound",
            Duration.ofSeconds(30),
            Duration.ofSeconds(1),
            Duration.ofMinutes(10)),
        reader.number("lease.parallel-revocations", 8, 1, 64));
  }

  /**
   * Its own connection: a thousand leases to end must not keep the gateway's credentials waiting.
   */
  @Bean
  Leases leases(
      DataSource dataSource,
      Connections connections,
      PlatformTransactionManager transactions,
      ConfigurableEnvironment environment,
      Access access,
      MeterRegistry registry,
      Clock clock) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(STEP_SECONDS);
    AddressRules targets = AddressRules.forIssuers(OwnAddresses.of(environment));
    return new Leases(
        dataSource,
        connections,
        bounded,
        hasVault(environment)
            ? new Leases.Vaults(
                VaultMeters.timed(
                    VaultConfiguration.connectQuickly(environment), registry, "leases"),
                VaultMeters.timed(
                    VaultConfiguration.connectQuickly(environment), registry, "lease-ends"))
            : null,
        check(new SettingsReader(environment)),
        access,
        targets::allows,
        clock);
  }

  private static boolean hasVault(Environment environment) {
    String uri = environment.getProperty("valetkey.vault.uri");
    return uri != null && !uri.isBlank();
  }

  /** Looks at every lease again whenever something may have made it wrong. */
  @Bean
  SmartLifecycle leaseReaping(Leases leases, StopView stops, PolicyView policy) {
    Reaper reaper = leases.reaper();
    stops.onChange(_ -> reaper.viewsChanged());
    policy.onChange(reaper::viewsChanged);
    return new Reaping(leases);
  }

  private static final class Reaping implements SmartLifecycle {

    private final Leases leases;
    private volatile boolean running;

    Reaping(Leases leases) {
      this.leases = leases;
    }

    @Override
    public void start() {
      leases.reaper().start();
      running = true;
    }

    @Override
    public void stop() {
      leases.close();
      running = false;
    }

    @Override
    public boolean isRunning() {
      return running;
    }

    @Override
    public int getPhase() {
      return AFTER_VIEWS;
    }
  }

  @Bean
  MeterBinder leaseMeters(Leases leases) {
    Reaper reaper = leases.reaper();
    return registry -> {
      Gauge.builder("valetkey.lease.live", reaper, r -> r.counts().live())
          .description("Leases that agents may hold")
          .register(registry);
      Gauge.builder("valetkey.lease.pending", reaper, r -> r.counts().pending())
          .description("Leases that must go and are not known to be gone")
          .register(registry);
      Gauge.builder("valetkey.lease.irrevocable", reaper, r -> r.counts().irrevocable())
          .description("Leases that must go and did not within the bound: an alarm if not 0")
          .register(registry);
      Gauge.builder("valetkey.lease.pending.age", reaper, r -> r.counts().oldestPendingSeconds())
          .description("Since when the oldest lease that must go must go")
          .baseUnit("seconds")
          .register(registry);
      Gauge.builder("valetkey.lease.unknown", reaper, Reaper::unknownLeases)
          .description("Leases of our roles at Vault that we did not hand out; -1 if unreadable")
          .register(registry);
    };
  }
}
