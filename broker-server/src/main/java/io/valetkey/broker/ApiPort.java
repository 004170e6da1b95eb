package io.valetkey.broker;

import java.util.Map;
import org.springframework.boot.EnvironmentPostProcessor;
import org.springframework.boot.SpringApplication;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/**
 * A process without the issuer role does not open the API port at all, and one that only migrates
 * opens no port.
 */
final class ApiPort implements EnvironmentPostProcessor {

  @Override
  public void postProcessEnvironment(
      ConfigurableEnvironment environment, SpringApplication application) {
    String roles = environment.getProperty("valetkey.roles");
    if (OnRole.onlyMigrates(environment)) {
      // Nobody asks it for its health, and the views that readiness is made of are not there.
      put(
          environment,
          Map.of(
              "spring.main.web-application-type", "none",
              "management.endpoint.health.validate-group-membership", "false"));
    } else if (roles != null && !roles.isBlank() && !roles.contains(BrokerSettings.ISSUER)) {
      put(environment, Map.of("server.port", "-1"));
    }
  }

  private static void put(ConfigurableEnvironment environment, Map<String, Object> properties) {
    environment.getPropertySources().addFirst(new MapPropertySource("valetkey-roles", properties));
  }
}
