package io.valetkey.broker;

import java.util.Arrays;
import java.util.Set;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.MigrationInfo;
import org.flywaydb.core.api.output.MigrateResult;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.boot.flyway.autoconfigure.FlywayMigrationStrategy;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.Environment;

/**
 * Who brings the schema up to date: this process, before it serves or in the place of serving, or
 * somebody else, and then it only looks whether that was done.
 */
@Configuration(proxyBeanMethods = false)
class MigrationConfiguration {

  private static final Logger log = LoggerFactory.getLogger(MigrationConfiguration.class);

  private static final String START = "start";
  private static final String EXTERNAL = "external";

  /** Checks the setting together with all others. */
  static void check(SettingsReader reader) {
    if (!Set.of(START, EXTERNAL).contains(reader.text("migrations", START))) {
      reader.problem("migrations", "must be start or external");
    }
  }

  @Bean
  FlywayMigrationStrategy migrations(Environment environment) {
    boolean external = EXTERNAL.equals(environment.getProperty("valetkey.migrations"));
    return external && !OnRole.onlyMigrates(environment)
        ? MigrationConfiguration::requireMigrated
        : MigrationConfiguration::migrate;
  }

  private static void migrate(Flyway flyway) {
    MigrateResult result = flyway.migrate();
    log.info(
        "The schema is at version {}; {} migrations were needed",
        result.targetSchemaVersion == null
            ? result.initialSchemaVersion
            : result.targetSchemaVersion,
        result.migrationsExecuted);
  }

  /** A schema that is newer than this release is fine: that is how an upgrade goes. */
  private static void requireMigrated(Flyway flyway) {
    try {
      MigrationInfo[] pending = flyway.info().pending();
      if (pending.length > 0) {
        throw new SchemaTooOldException(
            "The schema of the database lacks the migrations "
                + String.join(
                    ", ", Arrays.stream(pending).map(m -> String.valueOf(m.getVersion())).toList())
                + " that this release needs");
      }
    } catch (FlywayException e) {
      throw new SchemaTooOldException(
          "The version of the database's schema cannot be read: " + e.getMessage());
    }
  }

  /**
   * A process that only migrates takes the settings that this needs, and refuses others of ours.
   */
  @Configuration(proxyBeanMethods = false)
  @Conditional(OnRole.Migrate.class)
  static class Only {

    @Bean
    static BeanFactoryPostProcessor migrationSettings(ConfigurableEnvironment environment) {
      return beans -> {
        var reader = new SettingsReader(environment);
        reader.requireDatabase();
        var _ = reader.text("roles");
        check(reader);
        reader.refuseUnknown();
        if (!reader.problems().isEmpty()) {
          throw new InvalidSettingsException(reader.problems());
        }
      };
    }
  }
}
