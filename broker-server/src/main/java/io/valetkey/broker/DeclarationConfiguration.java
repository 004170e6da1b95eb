package io.valetkey.broker;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.valetkey.broker.admin.AuditedChanges;
import io.valetkey.broker.declaration.PolicyFiles;
import io.valetkey.broker.declaration.PolicyFolder;
import io.valetkey.broker.declaration.Replay;
import io.valetkey.broker.declaration.SetReader;
import io.valetkey.broker.policy.ChangeLog;
import io.valetkey.broker.policy.DeclaredDocuments;
import io.valetkey.broker.policy.PolicyApply;
import io.valetkey.broker.policy.PolicyExport;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.ResourceJson;
import io.valetkey.broker.policy.ResourceValidator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Objects;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.ApplicationListener;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Wires what declared sets of resources need. */
@Configuration(proxyBeanMethods = false)
class DeclarationConfiguration {

  /** A set is applied within this time or not at all; other writers wait for it. */
  private static final int APPLY_SECONDS = 20;

  private static final String DIRECTORY = "policy.directory";

  /**
   * The folder of policy files.
   *
   * @param directory null if there is none
   * @param owner whose set it is
   * @param poll how often it is looked at
   */
  private record Folder(@Nullable Path directory, String owner, Duration poll) {

    static Folder read(SettingsReader reader) {
      String directory = reader.text(DIRECTORY);
      if (directory != null && !Files.isDirectory(Path.of(directory))) {
        reader.problem(DIRECTORY, "is not a directory that can be read");
      }
      String owner = reader.text("policy.owner", "files");
      if (!ResourceId.isName(owner)) {
        reader.problem("policy.owner", "must be 1 to 63 lower-case letters, digits and hyphens");
      }
      return new Folder(
          directory == null ? null : Path.of(directory),
          owner,
          reader.duration(
              "policy.poll", Duration.ofSeconds(5), Duration.ofMillis(100), Duration.ofMinutes(5)));
    }
  }

  /** Checks the settings of policy files together with all others. */
  static void check(SettingsReader reader) {
    var _ = Folder.read(reader);
  }

  @Bean
  SetReader setReader(ResourceValidator validator) {
    return new SetReader(new DeclaredDocuments(new ResourceJson(), validator));
  }

  @Bean
  PolicyApply policyApply(
      DataSource dataSource,
      PlatformTransactionManager transactions,
      ChangeLog log,
      AuditedChanges recorder) {
    var bounded = new TransactionTemplate(transactions);
    bounded.setTimeout(APPLY_SECONDS);
    return new PolicyApply(dataSource, bounded, new ResourceJson(), log, recorder);
  }

  @Bean
  Replay replay(JdbcClient database, PolicyView view, Clock clock) {
    return new Replay(database, view, clock);
  }

  @Bean
  PolicyExport policyExport(DataSource dataSource) {
    return new PolicyExport(dataSource);
  }

  /** What looks into a folder, if there is one. */
  @Configuration(proxyBeanMethods = false)
  @ConditionalOnProperty("valetkey.policy.directory")
  static class FilesConfiguration {

    @Bean
    PolicyFiles policyFiles(
        SetReader reader, PolicyApply apply, Clock clock, ConfigurableEnvironment environment) {
      Folder folder = Folder.read(new SettingsReader(environment));
      Path directory = Objects.requireNonNull(folder.directory());
      return new PolicyFiles(new PolicyFolder(directory), reader, folder.owner(), apply, clock);
    }

    /** Not before everything else has started, and nothing waits for it. */
    @Bean
    ApplicationListener<ApplicationReadyEvent> policyFilesStart(
        PolicyFiles files, ConfigurableEnvironment environment) {
      Duration poll = Folder.read(new SettingsReader(environment)).poll();
      return event -> files.start(poll);
    }

    @Bean
    MeterBinder policyFilesMeter(PolicyFiles files) {
      return registry ->
          Gauge.builder("valetkey.policy.files.applied", files, f -> f.state().applied() ? 1 : 0)
              .description("1 while what the folder of policy files holds is in force")
              .register(registry);
    }
  }
}
