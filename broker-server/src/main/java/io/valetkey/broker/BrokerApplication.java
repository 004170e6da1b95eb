package io.valetkey.broker;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.security.autoconfigure.UserDetailsServiceAutoConfiguration;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;

/** Starts the broker. Everything it consists of is named here; nothing is found by scanning. */
@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration(exclude = UserDetailsServiceAutoConfiguration.class)
@Import({MigrationConfiguration.class, BrokerApplication.Serving.class})
public class BrokerApplication {

  /** Starts the broker with the given Spring arguments, or verifies the audit trail and ends. */
  public static void main(String[] args) {
    if (args.length > 0 && args[0].equals(VerifyAuditCommand.NAME)) {
      System.exit(VerifyAuditCommand.run(args, System.out));
    }
    SpringApplication.run(BrokerApplication.class, args);
  }

  /** Everything that serves; a process that only migrates has none of it. */
  @Configuration(proxyBeanMethods = false)
  @Conditional(OnRole.Serving.class)
  @Import({
    SettingsConfiguration.class,
    CoreConfiguration.class,
    TelemetryConfiguration.class,
    ManagementConfiguration.class,
    EvidenceConfiguration.class,
    SinkConfiguration.class,
    IssuerRoleConfiguration.class,
    GatewayRoleConfiguration.class,
    Observability.class,
    AdminRoleConfiguration.class,
    ConsoleRoleConfiguration.class,
    SignalConfiguration.class,
    WitnessConfiguration.class
  })
  static class Serving {}
}
