package io.valetkey.broker;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.security.autoconfigure.UserDetailsServiceAutoConfiguration;
import org.springframework.context.annotation.Import;

/** Starts the broker. Everything it consists of is named here; nothing is found by scanning. */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration(exclude = UserDetailsServiceAutoConfiguration.class)
@Import({
  SettingsConfiguration.class,
  CoreConfiguration.class,
  TelemetryConfiguration.class,
  ManagementConfiguration.class,
  IssuerRoleConfiguration.class,
  GatewayRoleConfiguration.class,
  Observability.class,
  AdminRoleConfiguration.class,
  SignalConfiguration.class,
  WitnessConfiguration.class
})
public class BrokerApplication {

  /** Starts the broker with the given Spring arguments. */
  public static void main(String[] args) {
    SpringApplication.run(BrokerApplication.class, args);
  }
}
