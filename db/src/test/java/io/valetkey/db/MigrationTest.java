package io.valetkey.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Map;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The schema on a real PostgreSQL: who owns what, and what the application may not do. */
class MigrationTest {

  private static EmbeddedPostgres postgres;

  @BeforeAll
  static void start() throws Exception {
    postgres = EmbeddedPostgres.start();
    try (Connection connection = connect("postgres", "postgres")) {
      connection.createStatement().execute("CREATE ROLE owner LOGIN CREATEROLE");
      connection.createStatement().execute("CREATE DATABASE app OWNER owner");
      connection.createStatement().execute("CREATE ROLE poor LOGIN");
      connection.createStatement().execute("CREATE DATABASE poor OWNER poor");
    }
    assertThatThrownBy(() -> migrate("poor", "poor"))
        .hasMessageContaining("the role valetkey_app does not exist and poor may not create it")
        .hasStackTraceContaining("CREATE ROLE valetkey_app NOLOGIN");
    migrate("app", "owner");
  }

  @AfterAll
  static void stop() throws Exception {
    postgres.close();
  }

  private static Connection connect(String database, String user) throws SQLException {
    return DriverManager.getConnection(
        "jdbc:postgresql://localhost:" + postgres.getPort() + "/" + database, user, user);
  }

  private static int migrate(String database, String user) {
    return Flyway.configure()
        .dataSource(
            "jdbc:postgresql://localhost:" + postgres.getPort() + "/" + database, user, user)
        .placeholders(Map.of("appRole", "valetkey_app"))
        .load()
        .migrate()
        .migrationsExecuted;
  }

  /** What the broker does at each connection, also where one login plays both parts. */
  private static Connection application() throws SQLException {
    Connection connection = connect("app", "owner");
    connection.createStatement().execute("SET ROLE valetkey_app");
    return connection;
  }

  private static final String RECORD =
      "INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome)"
          + " VALUES (now(), %d, 1, gen_random_uuid(), 'test', 'granted')";

  @Test
  void filledDatabase_isMigratedAgainWithoutLoss() throws Exception {
    try (Connection connection = application()) {
      connection.createStatement().execute(RECORD.formatted(100));
    }

    assertThat(migrate("app", "owner")).isZero();

    try (Connection connection = application();
        ResultSet rows =
            connection
                .createStatement()
                .executeQuery("SELECT count(*) FROM audit_record WHERE writer = 100")) {
      rows.next();
      assertThat(rows.getInt(1)).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "UPDATE audit_record SET outcome = 'refused'",
        "DELETE FROM audit_record",
        "TRUNCATE audit_record",
        "DROP TABLE audit_record",
        "DELETE FROM change_log",
        "UPDATE change_log SET name = 'x'",
        "DELETE FROM stop",
        "UPDATE signal SET agent = NULL",
        "DROP TABLE signal",
        "DELETE FROM stop_epoch",
        "INSERT INTO stop_epoch (only_row, epoch) VALUES (false, 9)",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE audit_record DISABLE TRIGGER ALL",
      })
  void application_mayNot(String statement) throws Exception {
    try (Connection connection = application()) {
      assertThatThrownBy(() -> connection.createStatement().execute(statement))
          .isInstanceOf(SQLException.class)
          .hasMessageMatching("(?s).*(permission denied|must be owner).*");
    }
  }

  @Test
  void application_mayNotTouchAPartitionDirectly() throws Exception {
    try (Connection connection = application()) {
      String partition;
      try (ResultSet rows =
          connection
              .createStatement()
              .executeQuery(
                  "SELECT inhrelid::regclass::text FROM pg_inherits"
                      + " WHERE inhparent = 'audit_record'::regclass LIMIT 1")) {
        rows.next();
        partition = rows.getString(1);
      }
      for (String statement :
          new String[] {"DELETE FROM " + partition, "DROP TABLE " + partition}) {
        assertThatThrownBy(() -> connection.createStatement().execute(statement))
            .isInstanceOf(SQLException.class);
      }
    }
  }

  @Test
  void partitions_areMadeAhead_byTheApplication() throws Exception {
    try (Connection connection = application()) {
      try (ResultSet rows =
          connection.createStatement().executeQuery("SELECT audit_make_partitions(20)")) {
        rows.next();
        assertThat(rows.getInt(1)).isPositive();
      }
      connection
          .createStatement()
          .execute(RECORD.formatted(101).replace("now()", "now() + interval '20 days'"));
    }
  }

  @Test
  void twoIssuersForOneIss_areRefusedByTheDatabase() throws Exception {
    try (Connection connection = application()) {
      String insert =
          "INSERT INTO issuer (name, spec, version, issuer_key) VALUES ('%s', '{}', 1, 'https://i')";
      connection.createStatement().execute(insert.formatted("a"));
      assertThatThrownBy(() -> connection.createStatement().execute(insert.formatted("b")))
          .hasMessageContaining("duplicate key");
    }
  }
}
