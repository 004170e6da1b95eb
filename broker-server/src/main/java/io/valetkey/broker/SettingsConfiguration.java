package io.valetkey.broker;

import io.valetkey.broker.token.TokenSettings;
import java.util.List;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** Reads the settings before any other bean exists, so that a bad one is the first thing said. */
@Configuration(proxyBeanMethods = false)
class SettingsConfiguration {

  private static final List<String> OTHERS =
      List.of(
          "admin.bootstrap-token",
          "admin.bootstrap-ttl",
          "admin.oidc.issuer",
          "admin.oidc.audience",
          "admin.oidc.roles-claim",
          "admin.oidc.jwks-uri");

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

  /** Settings that are read, as secrets, where they are used: here they only have to be known. */
  private static void readOthers(SettingsReader reader) {
    OTHERS.forEach(reader::text);
    CredentialConfiguration.check(reader);
  }
}
