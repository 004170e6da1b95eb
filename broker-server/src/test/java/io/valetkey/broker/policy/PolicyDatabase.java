package io.valetkey.broker.policy;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/** A real, migrated database for each test class, all on one server that ends with the JVM. */
public final class PolicyDatabase {

  private static final EmbeddedPostgres SERVER = start();
  private static final AtomicInteger COUNT = new AtomicInteger();

  private PolicyDatabase() {}

  private static EmbeddedPostgres start() {
    try {
      EmbeddedPostgres server = EmbeddedPostgres.builder().start();
      Runtime.getRuntime().addShutdownHook(new Thread(() -> close(server)));
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void close(EmbeddedPostgres server) {
    try {
      server.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The JDBC URL of a new, migrated database. */
  public static String newUrl() {
    String name = "policy_" + COUNT.incrementAndGet();
    JdbcClient.create(SERVER.getPostgresDatabase()).sql("CREATE DATABASE " + name).update();
    Flyway.configure()
        .dataSource(SERVER.getDatabase("postgres", name))
        .placeholders(Map.of("appRole", "valetkey_app"))
        .load()
        .migrate();
    return SERVER.getJdbcUrl("postgres", name);
  }

  /** A new, migrated database. */
  public static DataSource newDataSource() {
    String url = newUrl();
    String name = url.replaceAll(".*/([a-z0-9_]+)\\?.*", "$1");
    return SERVER.getDatabase("postgres", name);
  }

  /** A store that records nothing but its changes. */
  public static PolicyStore store(DataSource dataSource, ChangeRecorder recorder) {
    return new PolicyStore(
        dataSource,
        new TransactionTemplate(new DataSourceTransactionManager(dataSource)),
        new ResourceJson(),
        new ResourceValidator(
            address -> false, address -> true, path -> path.startsWith("/var/run/secrets")),
        new ChangeLog(dataSource, recorder));
  }
}
