package io.valetkey.broker;

import io.valetkey.broker.token.TokenSettings;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** Reads the settings before any other bean exists, so that a bad one is the first thing said. */
@Configuration(proxyBeanMethods = false)
class SettingsConfiguration {

  @Bean
  static BeanFactoryPostProcessor settings(ConfigurableEnvironment environment) {
    return beans ->
        beans.registerSingleton(
            "brokerSettings", BrokerSettings.read(environment, SettingsConfiguration::readOthers));
  }

  @Bean
  TokenSettings tokenSettings(BrokerSettings settings) {
    return settings.names();
  }

  /** Settings that are read, some as secrets, where they are used. */
  private static void readOthers(SettingsReader reader) {
    MigrationConfiguration.check(reader);
    var admins = AdminRoleConfiguration.check(reader);
    var _ = ConsoleRoleConfiguration.check(reader, "", admins);
    CredentialConfiguration.check(reader);
    var _ = VaultLogon.read(reader);
    var _ = LeaseConfiguration.check(reader);
    SignalConfiguration.check(reader);
    WitnessConfiguration.check(reader);
    FederationConfiguration.check(reader);
    var _ = TelemetrySettings.read(reader);
    EvidenceConfiguration.check(reader);
    DeclarationConfiguration.check(reader);
    SinkConfiguration.check(reader);
  }
}
