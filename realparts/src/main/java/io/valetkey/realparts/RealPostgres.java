package io.valetkey.realparts;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.flywaydb.core.Flyway;

/**
 * A real PostgreSQL on a loopback port, one for this JVM, started when it is first asked for. Its
 * users need no password. It ends with the JVM.
 */
public final class RealPostgres {

  /** Owns the databases and migrates them. */
  public static final String OWNER = "valetkey_owner";

  /** The role that the application works as; nobody logs in as it. */
  public static final String APPLICATION_ROLE = "valetkey_app";

  /** Logs in for the application: a member of {@link #APPLICATION_ROLE} and nothing else. */
  public static final String APPLICATION = "valetkey_service";

  private static final AtomicInteger NUMBER = new AtomicInteger();

  private RealPostgres() {}

  // Initialised by its first use, once for the JVM.
  private static final class Shared {
    static final EmbeddedPostgres SERVER = start();

    private static EmbeddedPostgres start() {
      try {
        EmbeddedPostgres server =
            EmbeddedPostgres.builder().setServerConfig("max_connections", "300").start();
        execute(
            server,
            "CREATE ROLE " + OWNER + " LOGIN",
            "CREATE ROLE " + APPLICATION_ROLE + " NOLOGIN",
            "CREATE ROLE " + APPLICATION + " LOGIN IN ROLE " + APPLICATION_ROLE);
        return server;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /**
   * One database.
   *
   * @param name its name
   * @param url its JDBC address, without a user
   */
  public record Database(String name, String url) {

    /** Brings it to the newest schema, as {@link #OWNER}. */
    public Database migrate() {
      var _ =
          Flyway.configure()
              .dataSource(url, OWNER, "")
              .locations("classpath:db/migration")
              .placeholders(Map.of("appRole", APPLICATION_ROLE))
              .load()
              .migrate();
      return this;
    }

    /** The address for libpq and for JDBC drivers that take the user from it. */
    public String urlFor(String user) {
      return url + "?user=" + user;
    }
  }

  /** A new and empty database that belongs to {@link #OWNER}. */
  public static Database freshDatabase() {
    String name = "valetkey_" + NUMBER.incrementAndGet();
    execute(Shared.SERVER, "CREATE DATABASE " + name + " OWNER " + OWNER);
    return new Database(name, "jdbc:postgresql://localhost:" + port() + "/" + name);
  }

  /** The server's port. */
  public static int port() {
    return Shared.SERVER.getPort();
  }

  private static void execute(EmbeddedPostgres server, String... statements) {
    try (Connection connection = server.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }
}
