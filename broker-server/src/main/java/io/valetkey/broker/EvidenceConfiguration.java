package io.valetkey.broker;

import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.evidence.AuditVerifier;
import io.valetkey.broker.evidence.CheckpointKey;
import io.valetkey.broker.evidence.Checkpoints;
import io.valetkey.broker.evidence.Retention;
import io.valetkey.broker.feed.Connections;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * What makes a change of the audit trail show: checkpoints and their verification. Only issuers do
 * it, so that a gateway needs no key.
 */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
class EvidenceConfiguration {

  private static final Logger log = LoggerFactory.getLogger(EvidenceConfiguration.class);
  private static final String KEY = "audit.signing-key";
  private static final String CONTINUE = "audit.continue-from";

  /** One verification must not hold a request for ever; whoever needs more goes on from there. */
  private static final Duration VERIFICATION = Duration.ofSeconds(30);

  /** Checks the settings of this part together with all others; the key only where it is used. */
  static void check(SettingsReader reader) {
    var _ = interval(reader);
    var _ = retention(reader);
    String hash = reader.text(CONTINUE);
    if (hash != null && !hash.matches("[0-9a-f]{64}")) {
      reader.problem(CONTINUE, "must be a hash of 64 hexadecimal digits");
    }
    String file = reader.text(KEY);
    List<String> roles = reader.list("roles");
    if (file != null && (roles.isEmpty() || roles.contains(BrokerSettings.ISSUER))) {
      try {
        var _ = CheckpointKey.read(Path.of(file));
      } catch (IllegalArgumentException e) {
        reader.problem(KEY, String.valueOf(e.getMessage()));
      }
    }
  }

  private static Duration interval(SettingsReader reader) {
    return reader.duration(
        "audit.checkpoint-interval",
        Duration.ofSeconds(60),
        Duration.ofSeconds(1),
        Duration.ofHours(1));
  }

  /** Zero: for ever. */
  private static Duration retention(SettingsReader reader) {
    return reader.duration(
        "audit.retention", Duration.ZERO, Duration.ofDays(7), Duration.ofDays(3650));
  }

  @Bean
  CheckpointKey checkpointKey(ConfigurableEnvironment environment) {
    @Nullable String file = new SettingsReader(environment).text(KEY);
    if (file != null) {
      return CheckpointKey.read(Path.of(file));
    }
    log.info(
        "Checkpoints of the audit trail are signed by a key of this process alone; set"
            + " valetkey.audit.signing-key to tell them from forged ones");
    return CheckpointKey.ofThisProcess();
  }

  @Bean
  Checkpoints checkpoints(
      Connections connections,
      CheckpointKey key,
      Clock clock,
      ConfigurableEnvironment environment) {
    var reader = new SettingsReader(environment);
    Duration keep = retention(reader);
    Retention retention =
        keep.isZero() ? null : new Retention(keep, SinkConfiguration.names(reader));
    var checkpoints = new Checkpoints(connections, key, clock, retention, reader.text(CONTINUE));
    checkpoints.start(interval(reader));
    return checkpoints;
  }

  @Bean
  MeterBinder checkpointMeter(Checkpoints checkpoints) {
    return registry ->
        Meters.seconds(
            registry,
            "valetkey.audit.checkpoint.overdue",
            "How long the oldest audit record without a checkpoint has been due for one; 0 if none is",
            checkpoints,
            Checkpoints::overdueSeconds);
  }

  @Bean
  AuditVerifier auditVerifier(Connections connections, CheckpointKey key, Checkpoints checkpoints) {
    return new AuditVerifier(
        connections,
        key.configured() ? key.publicKey() : null,
        () -> {
          var seen = checkpoints.seen();
          return seen == null ? List.of() : List.of(seen);
        },
        VERIFICATION);
  }
}
