package io.valetkey.broker;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.support.GenericApplicationContext;

/** The real broker on real sockets and a database of its own, in this process. */
public final class RunningBroker implements AutoCloseable {

  public static final String BOOTSTRAP_TOKEN = "bootstrap-token-of-a-test-0123456789abcdef";

  private static final AtomicInteger DATABASES = new AtomicInteger();
  private static final int FIRST_PORT = 10_000;
  private static final int PORT_COUNT = 22_000;

  /** From a place of its own in each JVM, because several run at once. */
  private static final AtomicInteger PORTS = new AtomicInteger(new Random().nextInt(PORT_COUNT));

  private final ConfigurableApplicationContext context;
  private final String database;
  private final String databaseUrl;
  private final int apiPort;
  private final int gatewayPort;
  private final int managementPort;

  /** One server for the whole test run; it ends with this JVM. */
  private static final class Server {
    static final EmbeddedPostgres POSTGRES = start();

    private static EmbeddedPostgres start() {
      try {
        return EmbeddedPostgres.builder()
            .setServerConfig("max_connections", "300")
            .setServerConfig("track_commit_timestamp", "on")
            .start();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private RunningBroker(String database, Map<String, String> settings, Clock clock) {
    this.database = database;
    this.apiPort = freePort();
    this.gatewayPort = freePort();
    this.managementPort = freePort();
    Map<String, Object> properties = new LinkedHashMap<>();
    properties.put("spring.datasource.url", Server.POSTGRES.getJdbcUrl("postgres", database));
    properties.put("spring.datasource.username", "postgres");
    properties.put("spring.datasource.password", "postgres");
    properties.put("server.port", apiPort);
    properties.put("server.address", "127.0.0.1");
    properties.put("management.server.port", managementPort);
    properties.put("management.server.address", "127.0.0.1");
    properties.put("valetkey.public-url", "http://127.0.0.1:" + apiPort);
    properties.put("valetkey.gateway.public-url", "http://127.0.0.1:" + gatewayPort);
    properties.put("valetkey.gateway.port", gatewayPort);
    properties.put("valetkey.gateway.address", "127.0.0.1");
    properties.put("valetkey.admin.bootstrap-token", BOOTSTRAP_TOKEN);
    properties.putAll(settings);
    this.databaseUrl = String.valueOf(properties.get("spring.datasource.url"));
    String[] arguments =
        properties.entrySet().stream()
            .map(e -> "--" + e.getKey() + "=" + e.getValue())
            .toArray(String[]::new);
    this.context =
        new SpringApplicationBuilder(BrokerApplication.class)
            .initializers(context -> replaceClock((GenericApplicationContext) context, clock))
            .run(arguments);
  }

  private static void replaceClock(GenericApplicationContext context, Clock clock) {
    if (clock != null) {
      context.registerBean("clockOfTheTest", Clock.class, () -> clock, b -> b.setPrimary(true));
    }
  }

  /** A broker on an empty database whose clock is not the database's. */
  public static RunningBroker start(Map<String, String> settings, Clock clock) {
    return new RunningBroker(newDatabase(), settings, clock);
  }

  /** A broker on an empty database. */
  public static RunningBroker start(Map<String, String> settings) {
    return onDatabase(newDatabase(), settings);
  }

  /** A further replica on the database of this one. */
  public RunningBroker replica(Map<String, String> settings) {
    return onDatabase(database, settings);
  }

  public static RunningBroker onDatabase(String database, Map<String, String> settings) {
    return new RunningBroker(database, settings, null);
  }

  public static String newDatabase() {
    String name = "broker_" + DATABASES.incrementAndGet();
    try (Connection connection = Server.POSTGRES.getPostgresDatabase().getConnection();
        var statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE " + name);
      return name;
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A connection as the owner of the database. */
  public Connection database() throws SQLException {
    return DriverManager.getConnection(databaseUrl, "postgres", "postgres");
  }

  public String databaseName() {
    return database;
  }

  public static int postgresPort() {
    return Server.POSTGRES.getPort();
  }

  public String url() {
    return "http://127.0.0.1:" + apiPort;
  }

  public String gatewayUrl() {
    return "http://127.0.0.1:" + gatewayPort;
  }

  public String managementUrl() {
    return "http://127.0.0.1:" + managementPort;
  }

  public URI api(String path) {
    return URI.create(url() + path);
  }

  public URI gateway(String path) {
    return URI.create(gatewayUrl() + path);
  }

  public <T> T bean(Class<T> type) {
    return context.getBean(type);
  }

  public ConfigurableApplicationContext context() {
    return context;
  }

  /**
   * A port that nobody listens on. Below those that outgoing connections get (from 32768 on Linux),
   * so that none of them takes it before it is used.
   */
  public static int freePort() {
    while (true) {
      int port = FIRST_PORT + Math.floorMod(PORTS.getAndIncrement(), PORT_COUNT);
      try (ServerSocket socket = new ServerSocket(port)) {
        return socket.getLocalPort();
      } catch (IOException e) {
        // Somebody has it: the next one.
      }
    }
  }

  @Override
  public void close() {
    context.close();
  }
}
