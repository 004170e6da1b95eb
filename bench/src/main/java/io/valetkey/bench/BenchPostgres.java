package io.valetkey.bench;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.flywaydb.core.Flyway;

/**
 * A real PostgreSQL for measurements: commits are flushed to the disk, which the embedded server of
 * the tests leaves out.
 */
final class BenchPostgres implements AutoCloseable {

  private static final String USER = "postgres";

  private final EmbeddedPostgres server;
  private final long pid;

  private BenchPostgres(EmbeddedPostgres server, long pid) {
    this.server = server;
    this.pid = pid;
  }

  static BenchPostgres start() throws IOException, SQLException {
    EmbeddedPostgres server =
        EmbeddedPostgres.builder()
            .setServerConfig("fsync", "on")
            .setServerConfig("synchronous_commit", "on")
            .setServerConfig("max_connections", "300")
            .setServerConfig("max_wal_size", "4GB")
            .start();
    try (Connection connection = server.getPostgresDatabase().getConnection()) {
      Path folder = Path.of(text(connection, "SHOW data_directory"));
      require(text(connection, "SHOW fsync").equals("on"), "commits are not flushed");
      long pid =
          Long.parseLong(Files.readAllLines(folder.resolve("postmaster.pid")).getFirst().strip());
      return new BenchPostgres(server, pid);
    }
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new IllegalStateException(otherwise);
    }
  }

  /** The process id of the server; all its backends are its children. */
  long pid() {
    return pid;
  }

  /** Makes an empty database. */
  String create(String database) throws SQLException {
    execute("postgres", "CREATE DATABASE " + database);
    return database;
  }

  /** Makes a database with the newest schema. */
  String createMigrated(String database) throws SQLException {
    create(database);
    var _ =
        Flyway.configure()
            .dataSource(url(database), USER, USER)
            .locations("classpath:db/migration")
            .placeholders(Map.of("appRole", "valetkey_app"))
            .load()
            .migrate();
    return database;
  }

  String url(String database) {
    return server.getJdbcUrl(USER, database);
  }

  Connection connect(String database) throws SQLException {
    return DriverManager.getConnection(url(database), USER, USER);
  }

  void execute(String database, String... statements) throws SQLException {
    try (Connection connection = connect(database);
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  /** Commits of one database since its statistics began; about a second late. */
  long commits(String database) throws SQLException {
    try (Connection connection = connect("postgres")) {
      return Long.parseLong(
          text(
              connection,
              "SELECT xact_commit FROM pg_stat_database WHERE datname = '" + database + "'"));
    }
  }

  static String text(Connection connection, String query) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery(query)) {
      rows.next();
      return rows.getString(1);
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
