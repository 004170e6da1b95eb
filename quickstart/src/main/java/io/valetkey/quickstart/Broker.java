package io.valetkey.quickstart;

import io.valetkey.broker.BrokerApplication;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.core.env.MutablePropertySources;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.web.context.support.StandardServletEnvironment;

/** The broker itself, in this process, with the settings that an operator would give it. */
final class Broker implements AutoCloseable {

  private final ConfigurableApplicationContext context;

  private Broker(ConfigurableApplicationContext context) {
    this.context = context;
  }

  /** What it is started with. */
  static Broker start(
      Ports ports,
      DemoDatabase database,
      CredentialStore credentials,
      Path trustedCertificates,
      String bootstrapToken) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("server.port", ports.api());
    settings.put("server.address", Ports.LOOPBACK);
    settings.put("management.server.port", ports.management());
    settings.put("management.server.address", Ports.LOOPBACK);
    settings.put("valetkey.public-url", ports.apiUrl());
    settings.put("valetkey.gateway.port", ports.gateway());
    settings.put("valetkey.gateway.address", Ports.LOOPBACK);
    settings.put("valetkey.gateway.public-url", ports.gatewayUrl());
    settings.put("valetkey.gateway.private-origins", "127.0.0.0/8");
    settings.put("valetkey.gateway.trusted-certificates", trustedCertificates);
    settings.put("valetkey.admin.bootstrap-token", bootstrapToken);
    settings.putAll(credentials.settings());
    settings.put("spring.datasource.url", database.url());
    settings.put("spring.datasource.username", DemoDatabase.APPLICATION);
    settings.put("spring.datasource.password", database.applicationPassword());
    settings.put("spring.flyway.user", DemoDatabase.OWNER);
    settings.put("spring.flyway.password", database.ownerPassword());
    // Whoever tries it out wants it to end at Ctrl-C, not to wait for open streams.
    settings.put("valetkey.gateway.drain", "1s");
    settings.put("spring.lifecycle.timeout-per-shutdown-phase", "3s");
    settings.put("logging.level.root", "warn");
    // What these two warn of, the guide says.
    settings.put("logging.level.io.valetkey.broker.control.BootstrapToken", "error");
    settings.put("logging.level.org.springdoc.core.events", "error");
    return new Broker(
        new SpringApplicationBuilder(BrokerApplication.class)
            .environment(new OwnSettingsOnly())
            .registerShutdownHook(false)
            .run(
                settings.entrySet().stream()
                    .map(setting -> "--" + setting.getKey() + "=" + setting.getValue())
                    .toArray(String[]::new)));
  }

  @Override
  public void close() {
    context.close();
  }

  /** Settings of some other installation that happen to be in the shell's environment stay out. */
  private static final class OwnSettingsOnly extends StandardServletEnvironment {
    @Override
    protected void customizePropertySources(MutablePropertySources sources) {
      super.customizePropertySources(sources);
      sources.remove(StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME);
    }
  }
}
