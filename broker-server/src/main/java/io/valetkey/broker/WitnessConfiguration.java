package io.valetkey.broker;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.stop.StopRestore;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.stop.WitnessKeeper;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultStopWitness;
import java.util.Set;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * A witness of stops outside the database, for whoever wants one. It has a connection to Vault of
 * its own, so that no number of credentials to be read delays it.
 */
@Configuration(proxyBeanMethods = false)
@ConditionalOnProperty("valetkey.stop.witness.path")
class WitnessConfiguration {

  /** Checks the settings of this part together with all others. */
  static void check(SettingsReader reader) {
    String path = reader.text("stop.witness.path");
    String mount = reader.text("stop.witness.mount", "secret");
    String required = reader.text("stop.witness.required", "true");
    if (!Set.of("true", "false").contains(required)) {
      reader.problem("stop.witness.required", "must be true or false");
    }
    if (path == null) {
      return;
    }
    if (reader.text("vault.uri") == null) {
      reader.problem("stop.witness.path", "needs valetkey.vault.uri");
    }
    if (!VaultStopWitness.isPath(mount) || !VaultStopWitness.isPath(path)) {
      reader.problem("stop.witness", "mount and path must be plain Vault paths");
    }
  }

  @Bean(destroyMethod = "close")
  VaultConnection witnessVault(ConfigurableEnvironment environment, MeterRegistry registry) {
    return VaultMeters.timed(VaultConfiguration.connect(environment), registry, "witness");
  }

  @Bean
  WitnessKeeper witnessKeeper(
      VaultConnection witnessVault,
      StopView view,
      StopRestore restore,
      BrokerSettings settings,
      ConfigurableEnvironment environment) {
    var reader = new SettingsReader(environment);
    var witness =
        new VaultStopWitness(
            witnessVault,
            reader.text("stop.witness.mount", "secret"),
            String.valueOf(reader.text("stop.witness.path")));
    boolean required = reader.text("stop.witness.required", "true").equals("true");
    return new WitnessKeeper(witness, view, restore, settings.has(BrokerSettings.ISSUER), required);
  }

  @Bean
  MeterBinder witnessMeters(WitnessKeeper keeper) {
    return registry -> {
      Gauge.builder("valetkey.stop.witness.behind", keeper, k -> k.behindMillis() / 1000.0)
          .description("For how long the witness has not known the stops that this replica knows")
          .baseUnit("seconds")
          .register(registry);
      Gauge.builder("valetkey.stop.witness.heard", keeper, k -> k.hasBeenHeard() ? 1 : 0)
          .description("1 once the witness has been heard since the start")
          .register(registry);
    };
  }
}
