package io.valetkey.broker;

import io.valetkey.broker.telemetry.OtlpTraces;
import io.valetkey.broker.telemetry.Telemetry;
import io.valetkey.broker.telemetry.Traces;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/** Traces of requests: off unless there is somewhere to send them. */
@Configuration(proxyBeanMethods = false)
class TelemetryConfiguration {

  @Bean
  Traces traces(ConfigurableEnvironment environment) {
    TelemetrySettings settings = TelemetrySettings.read(new SettingsReader(environment));
    return settings.endpoint() == null
        ? Traces.OFF
        : new OtlpTraces(settings.endpoint(), settings.samplePercent(), Observability.version());
  }

  @Bean
  Telemetry telemetry(Traces traces) {
    return new Telemetry(traces);
  }
}
