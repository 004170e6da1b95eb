package io.valetkey.broker;

import io.valetkey.broker.upstream.VaultConnection;
import java.util.Objects;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** The connection to Vault, where there is one. At its end it revokes its own login. */
@Configuration(proxyBeanMethods = false)
@ConditionalOnProperty("valetkey.vault.uri")
class VaultConfiguration {

  @Bean(destroyMethod = "close")
  VaultConnection vaultConnection(ConfigurableEnvironment environment) {
    return connect(environment);
  }

  /** One more connection, with a login and a number of calls of its own. */
  static VaultConnection connect(ConfigurableEnvironment environment) {
    return new VaultConnection(
        Objects.requireNonNull(VaultLogon.read(new SettingsReader(environment))));
  }
}
