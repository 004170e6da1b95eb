package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Who migrates and who only looks, with secrets as files in a config tree. */
class MigrationModeTest {

  private static final String SERVICE = "service_of_a_test";

  @TempDir Path folder;

  private record Ended(int code, String output) {}

  private static String url(String database) {
    return "jdbc:postgresql://localhost:" + RunningBroker.postgresPort() + "/" + database;
  }

  private void secret(String setting, String value) throws Exception {
    Files.writeString(
        Files.createDirectories(folder.resolve("secrets")).resolve(setting), value + "\n");
  }

  /** Runs the program to its end, as a container would be: settings by environment, no argument. */
  private Ended run(Map<String, String> environment) throws Exception {
    Path log = folder.resolve("log");
    var builder =
        new ProcessBuilder(
                new ArrayList<>(
                    List.of(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "io.valetkey.broker.BrokerApplication")))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    builder
        .environment()
        .put("SPRING_CONFIG_IMPORT", "configtree:" + folder.resolve("secrets") + "/");
    builder.environment().putAll(environment);
    Process process = builder.start();
    try {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("it ends by itself").isTrue();
      return new Ended(process.exitValue(), Files.readString(log));
    } finally {
      process.destroyForcibly();
    }
  }

  private Ended migrate(String database) throws Exception {
    secret("spring.datasource.username", "postgres");
    secret("spring.datasource.password", "postgres");
    try (ServerSocket taken = new ServerSocket(0)) {
      String port = String.valueOf(taken.getLocalPort());
      return run(
          Map.of(
              "VALETKEY_ROLES",
              "migrate",
              "SPRING_DATASOURCE_URL",
              url(database),
              // It would fail if it opened either.
              "SERVER_PORT",
              port,
              "MANAGEMENT_SERVER_PORT",
              port));
    }
  }

  @Test
  void migrate_bringsTheSchemaUpSaysSoAndEndsWithoutOpeningAPort() throws Exception {
    String database = RunningBroker.newDatabase();
    Ended first = migrate(database);
    assertThat(first.code()).as(first.output()).isZero();
    assertThat(first.output())
        .containsPattern("The schema is at version \\d+; [1-9]\\d* migrations were needed");
    Ended second = migrate(database);
    assertThat(second.code()).as(second.output()).isZero();
    assertThat(second.output())
        .containsPattern("The schema is at version \\d+; 0 migrations were needed");
    try (RunningBroker broker =
        RunningBroker.onDatabase(database, Map.of("valetkey.migrations", "external"))) {
      assertThat(jwks(broker)).isEqualTo(200);
    }
  }

  @Test
  void migrate_withASettingThatItDoesNotTake_refuses() throws Exception {
    secret("valetkey.vault.token", "anything");
    Ended ended = migrate(RunningBroker.newDatabase());
    assertThat(ended.code()).isNotZero();
    assertThat(ended.output()).contains("valetkey.vault.token: there is no such setting");
  }

  @Test
  void external_onAnOlderSchema_refusesToStartAndSaysWhatToDo() {
    assertThatThrownBy(() -> RunningBroker.start(Map.of("valetkey.migrations", "external")))
        .rootCause()
        .isInstanceOf(SchemaTooOldException.class)
        .hasMessageContaining("lacks the migrations 1, 2, 3");
  }

  @Test
  void external_asAnApplicationThatMayReadThePolicyOnly_starts() throws Exception {
    String database = RunningBroker.newDatabase();
    assertThat(migrate(database).code()).isZero();
    try (var connection = DriverManager.getConnection(url(database), "postgres", "postgres");
        var statement = connection.createStatement()) {
      statement.execute("CREATE ROLE " + SERVICE + " LOGIN PASSWORD 'x' IN ROLE valetkey_app");
    }
    try (RunningBroker broker =
        RunningBroker.onDatabase(
            database,
            Map.of(
                "valetkey.migrations", "external",
                "spring.datasource.username", SERVICE,
                "spring.datasource.password", "x"))) {
      assertThat(jwks(broker)).isEqualTo(200);
    }
  }

  @Test
  void start_withAnUnknownOrWrongSettingInTheConfigTree_refuses() throws Exception {
    secret("valetkey.admin.bootstrap-token", "too-short");
    secret("valetkey.admin.bootstrap-tokn", "misspelt");
    Ended ended =
        run(
            Map.of(
                "SPRING_DATASOURCE_URL", url(RunningBroker.newDatabase()),
                "VALETKEY_PUBLIC_URL", "https://valetkey.example.com",
                "VALETKEY_GATEWAY_PUBLIC_URL", "https://gateway.example.com"));
    assertThat(ended.code()).isNotZero();
    assertThat(ended.output())
        .contains("valetkey.admin.bootstrap-token: must have at least 32 characters")
        .contains("valetkey.admin.bootstrap-tokn: there is no such setting")
        .doesNotContain("too-short", "misspelt");
  }

  @Test
  void start_withAWayToMigrateThatDoesNotExist_refuses() {
    assertThatThrownBy(() -> RunningBroker.start(Map.of("valetkey.migrations", "job")))
        .hasMessageContaining("valetkey.migrations: must be start or external");
  }

  private static int jwks(RunningBroker broker) throws Exception {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(URI.create(broker.url() + "/oauth2/jwks")).build(),
              HttpResponse.BodyHandlers.ofString())
          .statusCode();
    }
  }
}
