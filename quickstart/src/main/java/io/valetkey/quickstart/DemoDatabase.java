package io.valetkey.quickstart;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * A real PostgreSQL with the two logins that a production database has: an owner, who migrates, and
 * the application, who may do no more than the application role. Both need their password: other
 * programs of this machine reach the port as well.
 */
final class DemoDatabase implements AutoCloseable {

  static final String OWNER = "valetkey_owner";
  static final String APPLICATION = "valetkey_service";
  private static final String ROLE = "valetkey_app";

  private final EmbeddedPostgres server;
  private final String ownerPassword = RandomText.next();
  private final String applicationPassword = RandomText.next();

  private DemoDatabase(EmbeddedPostgres server) {
    this.server = server;
  }

  /** Starts it with its data in a directory that must be empty. */
  static DemoDatabase start(Path data) {
    try {
      // It is ended with everything else, in order; a hook of its own would end it under the
      // broker.
      DemoDatabase database =
          new DemoDatabase(
              EmbeddedPostgres.builder()
                  .setDataDirectory(data)
                  .setRegisterShutdownHook(false)
                  .setOutputRedirector(Redirect.DISCARD)
                  .setErrorRedirector(Redirect.DISCARD)
                  .start());
      database.prepare();
      return database;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String url() {
    return "jdbc:postgresql://localhost:" + server.getPort() + "/valetkey";
  }

  String ownerPassword() {
    return ownerPassword;
  }

  String applicationPassword() {
    return applicationPassword;
  }

  private void prepare() throws IOException {
    try (Connection connection = server.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE ROLE " + ROLE + " NOLOGIN");
      statement.execute("CREATE ROLE " + OWNER + " LOGIN PASSWORD '" + ownerPassword + "'");
      statement.execute(
          "CREATE ROLE "
              + APPLICATION
              + " LOGIN PASSWORD '"
              + applicationPassword
              + "' IN ROLE "
              + ROLE);
      statement.execute("CREATE DATABASE valetkey OWNER " + OWNER);
      try (ResultSet row = statement.executeQuery("SHOW hba_file")) {
        row.next();
        Files.writeString(
            Path.of(row.getString(1)),
            "host valetkey "
                + OWNER
                + ","
                + APPLICATION
                + " 127.0.0.1/32 scram-sha-256\nhost valetkey "
                + OWNER
                + ","
                + APPLICATION
                + " ::1/128 scram-sha-256\n");
      }
      statement.execute("SELECT pg_reload_conf()");
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    try {
      server.close();
    } catch (IOException e) {
      System.err.println("PostgreSQL did not end: " + e);
    }
  }
}
