package io.valetkey.broker;

import io.micrometer.core.instrument.MeterRegistry;
import io.valetkey.broker.issuance.OAuthPaths;
import io.valetkey.broker.upstream.Federation;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultTransit;
import java.time.Clock;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * This installation as an issuer that providers trust. Gateways have assertions signed, issuers
 * publish the keys; the private key stays in Vault.
 */
@Configuration(proxyBeanMethods = false)
@ConditionalOnProperty(Federation.SETTING)
class FederationConfiguration {

  private static final String NAME = "federation.transit-key";

  /** A key of a transit engine. */
  private record Key(String mount, String name) {}

  /** Reads the settings of this part, noting what is wrong with them. */
  static void check(SettingsReader reader) {
    var _ = key(reader);
  }

  private static @Nullable Key key(SettingsReader reader) {
    String written = reader.text(NAME);
    if (written == null) {
      return null;
    }
    int slash = written.lastIndexOf('/');
    Key key = slash < 0 ? null : new Key(written.substring(0, slash), written.substring(slash + 1));
    if (key == null || !VaultTransit.isKey(key.mount(), key.name())) {
      reader.problem(
          NAME, "must be the mount and the name of a transit key, as transit/federation");
      return null;
    }
    if (reader.text("vault.uri") == null) {
      reader.problem(NAME, "needs valetkey.vault.uri");
    }
    return key;
  }

  @Bean(destroyMethod = "close")
  VaultConnection federationVault(ConfigurableEnvironment environment, MeterRegistry registry) {
    return VaultMeters.timed(VaultConfiguration.connect(environment), registry, "federation");
  }

  @Bean
  Federation federation(
      BrokerSettings settings,
      ConfigurableEnvironment environment,
      @Qualifier("federationVault") VaultConnection vault,
      Clock clock) {
    Key key = Objects.requireNonNull(key(new SettingsReader(environment)));
    return new Federation(
        settings.names().issuer() + OAuthPaths.FEDERATION,
        new VaultTransit(vault, key.mount(), key.name(), clock));
  }
}
