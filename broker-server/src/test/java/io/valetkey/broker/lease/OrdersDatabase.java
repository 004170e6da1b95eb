package io.valetkey.broker.lease;

import io.valetkey.realparts.RealVault;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A real PostgreSQL that agents lease logins for: it asks for passwords, has a table that readers
 * may read, one that they may not, and an account by which Vault makes and drops roles.
 */
public final class OrdersDatabase implements AutoCloseable {

  /** The role templates that the documentation ships. */
  private static final Path TEMPLATES = Path.of("../docs/reference/role-templates");

  private static final String HBA =
      """
      local all all trust
      host all postgres 127.0.0.1/32 trust
      host all postgres ::1/128 trust
      host all all all scram-sha-256
      """;

  private final EmbeddedPostgres server;

  public OrdersDatabase() {
    try {
      Path hba = Files.createTempFile("orders-hba", ".conf");
      Files.writeString(hba, HBA);
      this.server =
          EmbeddedPostgres.builder()
              .setServerConfig("hba_file", hba.toString())
              .setServerConfig("max_connections", "200")
              .start();
      execute(
          "CREATE ROLE orders_reader NOLOGIN",
          "CREATE ROLE orders_static LOGIN PASSWORD 'to be rotated' IN ROLE orders_reader",
          "CREATE ROLE vault_admin LOGIN CREATEROLE CREATEDB PASSWORD 'vault-admin-password'",
          "GRANT orders_reader TO vault_admin WITH ADMIN OPTION",
          "GRANT orders_static TO vault_admin WITH ADMIN OPTION",
          "GRANT pg_signal_backend TO vault_admin",
          "CREATE TABLE orders (id int PRIMARY KEY)",
          "INSERT INTO orders VALUES (1), (2)",
          "GRANT SELECT ON orders TO orders_reader",
          "CREATE TABLE salaries (id int PRIMARY KEY)");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public int port() {
    return server.getPort();
  }

  /** As destinations write it. */
  public String origin() {
    return "postgresql://localhost:" + port() + "/postgres";
  }

  /** Sets Vault's database engine up at {@code database/}, with the roles of this database. */
  public void configure(RealVault vault) {
    vault.send("POST", "sys/mounts/database", Map.of("type", "database"));
    connect(vault, "orders");
    role(vault, "orders-ro", template("revocation"));
    vault.send(
        "POST",
        "database/static-roles/orders-app",
        Map.of("db_name", "orders", "username", "orders_static", "rotation_period", "24h"));
  }

  /** One more connection of Vault to this database, with queues of its own. */
  public void connect(RealVault vault, String name) {
    vault.send(
        "POST",
        "database/config/" + name,
        Map.of(
            "plugin_name",
            "postgresql-database-plugin",
            "allowed_roles",
            "*",
            "connection_url",
            "postgresql://{{username}}:{{password}}@localhost:" + port() + "/postgres",
            "username",
            "vault_admin",
            "password",
            "vault-admin-password",
            "max_open_connections",
            "20"));
  }

  /** Writes the role, with another way to take its logins back. */
  public static void role(RealVault vault, String name, String revocation) {
    role(vault, name, "orders", revocation);
  }

  /** Writes a role on one of the connections. */
  public static void role(RealVault vault, String name, String connection, String revocation) {
    vault.send(
        "POST",
        "database/roles/" + name,
        Map.of(
            "db_name",
            connection,
            "creation_statements",
            template("creation"),
            "renew_statements",
            template("renewal"),
            "revocation_statements",
            revocation,
            "default_ttl",
            "1h",
            "max_ttl",
            "24h"));
  }

  public static String template(String name) {
    return read("postgresql-" + name + ".sql");
  }

  public static String read(String file) {
    try {
      return Files.readString(TEMPLATES.resolve(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A connection as whoever has this login. */
  public Connection connect(String username, String password) throws SQLException {
    return DriverManager.getConnection(
        "jdbc:postgresql://localhost:" + port() + "/postgres", username, password);
  }

  /** The roles that Vault has made and not dropped. */
  public List<String> dynamicRoles() {
    try (Connection connection = connect("postgres", "");
        var rows =
            connection
                .createStatement()
                .executeQuery("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1")) {
      List<String> roles = new ArrayList<>();
      while (rows.next()) {
        roles.add(rows.getString(1));
      }
      return roles;
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  public void execute(String... statements) {
    try (Connection connection = server.getPostgresDatabase().getConnection();
        var statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    try {
      server.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
