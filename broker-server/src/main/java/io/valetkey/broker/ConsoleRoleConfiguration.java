package io.valetkey.broker;

import io.valetkey.broker.console.ConsoleConfiguration;
import io.valetkey.broker.console.ConsoleSettings;
import java.time.Duration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.ConfigurableEnvironment;

/** What the console needs beside the admin API. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
@Import(ConsoleConfiguration.class)
class ConsoleRoleConfiguration {

  /** Reads the settings of this part, noting what is wrong with them. */
  static ConsoleSettings check(SettingsReader reader, String publicUrl) {
    Duration lifetime =
        reader.duration(
            "console.lifetime", Duration.ofHours(8), Duration.ofMinutes(1), Duration.ofDays(1));
    Duration idle =
        reader.duration(
            "console.idle", Duration.ofMinutes(30), Duration.ofSeconds(1), Duration.ofDays(1));
    if (idle.compareTo(lifetime) > 0) {
      reader.problem("console.idle", "must be at most valetkey.console.lifetime");
    }
    return new ConsoleSettings(publicUrl, idle, lifetime);
  }

  @Bean
  ConsoleSettings consoleSettings(ConfigurableEnvironment environment, BrokerSettings settings) {
    return check(new SettingsReader(environment), settings.names().issuer());
  }
}
