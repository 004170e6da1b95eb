package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultSettings;
import java.time.Duration;
import java.util.Objects;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** The connection to Vault, where there is one. At its end it revokes its own login. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnProperty("valetkey.vault.uri")
class VaultConfiguration {

  private static final Duration LONGEST = Duration.ofSeconds(3);

  @Bean(destroyMethod = "close")
  VaultConnection vaultConnection(ConfigurableEnvironment environment, MeterRegistry registry) {
    return VaultMeters.timed(connect(environment), registry, "credentials");
  }

  /** One more connection, with a login and a number of calls of its own. */
  static VaultConnection connect(ConfigurableEnvironment environment) {
    return new VaultConnection(
        Objects.requireNonNull(VaultLogon.read(new SettingsReader(environment))));
  }

  /**
   * A connection whose calls end soon enough for the protocol of leases, whatever the setting: its
   * deadlines stand in relation to how long one call may take.
   */
  static VaultConnection connectQuickly(ConfigurableEnvironment environment) {
    VaultSettings settings =
        Objects.requireNonNull(VaultLogon.read(new SettingsReader(environment)));
    Duration timeout = settings.timeout();
    return new VaultConnection(
        new VaultSettings(
            settings.uri(),
            settings.login(),
            settings.namespace(),
            settings.caCertificate(),
            timeout.compareTo(LONGEST) > 0 ? LONGEST : timeout,
            settings.maxConcurrentCalls()));
  }
}
