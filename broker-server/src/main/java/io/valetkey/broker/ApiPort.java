package io.valetkey.broker;

import java.util.Map;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/** A process without the issuer role does not open the API port at all. */
final class ApiPort implements EnvironmentPostProcessor {

  @Override
  public void postProcessEnvironment(
      ConfigurableEnvironment environment, SpringApplication application) {
    String roles = environment.getProperty("valetkey.roles");
    if (roles != null && !roles.isBlank() && !roles.contains(BrokerSettings.ISSUER)) {
      environment
          .getPropertySources()
          .addFirst(new MapPropertySource("valetkey-roles", Map.of("server.port", "-1")));
    }
  }
}
