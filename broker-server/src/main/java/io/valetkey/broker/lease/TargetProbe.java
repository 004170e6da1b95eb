package io.valetkey.broker.lease;

import io.valetkey.broker.upstream.SelfTestStep;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;

/** Uses a login of PostgreSQL as an agent would, and looks whether it has ended. */
final class TargetProbe {

  private static final String QUESTIONS =
      """
      SELECT rolvaliduntil IS NOT NULL AND rolvaliduntil < 'infinity',
             rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication,
             EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid),
             EXISTS (SELECT FROM pg_shdepend WHERE refobjid = r.oid
                     AND refclassid = 'pg_authid'::regclass AND deptype = 'a')
      FROM pg_roles r WHERE rolname = session_user
      """;

  private final BiPredicate<InetAddress, Integer> allowed;

  /**
   * Makes a probe.
   *
   * @param allowed which addresses and ports it may connect to
   */
  TargetProbe(BiPredicate<InetAddress, Integer> allowed) {
    this.allowed = allowed;
  }

  /** An open session of the login under test; of other engines there is none. */
  static final class Session implements AutoCloseable {

    private final VaultCredential credential;
    private final @Nullable Connection connection;
    private final String url;

    private Session(VaultCredential credential, @Nullable Connection connection, String url) {
      this.credential = credential;
      this.connection = connection;
      this.url = url;
    }

    static Session none(VaultCredential credential) {
      return new Session(credential, null, "");
    }

    /** Whether the open session was ended, and no new one can be had. */
    void requireGone(List<SelfTestStep> steps) {
      if (connection == null) {
        return;
      }
      steps.add(
          isOpen(connection)
              ? new SelfTestStep(
                  "session",
                  "failed",
                  "The open session goes on: the revocation must end it (pg_terminate_backend)")
              : new SelfTestStep("session", "passed", "The open session was ended"));
      steps.add(tryAgain());
    }

    private static boolean isOpen(Connection connection) {
      try {
        return connection.isValid(2);
      } catch (SQLException e) {
        return false;
      }
    }

    private SelfTestStep tryAgain() {
      try (Connection again = DriverManager.getConnection(url, login(credential))) {
        return new SelfTestStep("login", "failed", "The login still works: " + isOpen(again));
      } catch (SQLException e) {
        boolean refused = "28P01".equals(e.getSQLState()) || "28000".equals(e.getSQLState());
        return refused
            ? new SelfTestStep("login", "passed", "The target refuses the login")
            : new SelfTestStep(
                "login", "failed", "The target could not be asked: " + e.getSQLState());
      }
    }

    @Override
    public void close() {
      if (connection != null) {
        try {
          connection.close();
        } catch (SQLException e) {
          // It was ended, as it should be.
        }
      }
    }
  }

  Session connect(LeaseSource source, VaultCredential credential, List<SelfTestStep> steps) {
    URI origin = URI.create(source.origin());
    String url =
        "jdbc:postgresql://"
            + origin.getHost()
            + ":"
            + (origin.getPort() < 0 ? 5432 : origin.getPort())
            + (origin.getRawPath().isEmpty() ? "/" : origin.getRawPath());
    try {
      url += "?sslmode=" + (isLoopback(origin) ? "disable" : "verify-full");
      Connection connection = DriverManager.getConnection(url, login(credential));
      steps.add(new SelfTestStep("use", "passed", "The target accepts the login"));
      look(connection, source.fixed(), steps);
      return new Session(credential, connection, url);
    } catch (UnknownHostException e) {
      steps.add(new SelfTestStep("use", "failed", "The name of the target does not resolve here"));
    } catch (SQLException e) {
      steps.add(
          new SelfTestStep(
              "use", "failed", "The target refused or did not answer: " + e.getSQLState()));
    }
    return Session.none(credential);
  }

  /**
   * Whether the target is on this machine. Everywhere else its certificate must be the right one,
   * so that no credential is sent to anybody but the target.
   *
   * @throws SQLException if it has an address that is not allowed
   */
  private boolean isLoopback(URI origin) throws UnknownHostException, SQLException {
    boolean loopback = true;
    int port = origin.getPort() < 0 ? 5432 : origin.getPort();
    for (InetAddress address : InetAddress.getAllByName(origin.getHost())) {
      if (!allowed.test(address, port)) {
        throw new SQLException("not allowed", "an address that is not allowed");
      }
      loopback &= address.isLoopbackAddress();
    }
    return loopback;
  }

  private static Properties login(VaultCredential credential) {
    Map<String, Object> members = credential.credential().reveal();
    Properties properties = new Properties();
    properties.setProperty("user", String.valueOf(members.get("username")));
    properties.setProperty("password", String.valueOf(members.get("password")));
    properties.setProperty("connectTimeout", "3");
    properties.setProperty("socketTimeout", "5");
    properties.setProperty("ApplicationName", "valetkey-self-test");
    return properties;
  }

  private static void look(Connection connection, boolean fixed, List<SelfTestStep> steps)
      throws SQLException {
    try (var statement = connection.createStatement();
        ResultSet row = statement.executeQuery(QUESTIONS)) {
      if (!row.next()) {
        return;
      }
      note(steps, "valid_until", fixed || row.getBoolean(1), "The login has an end of its own");
      note(steps, "privileges", !row.getBoolean(2), "It has no attribute that is too much");
      note(steps, "membership", row.getBoolean(3), "It is a member of a group role");
      note(steps, "own_grants", !row.getBoolean(4), "It has no grants of its own");
    }
  }

  private static void note(List<SelfTestStep> steps, String step, boolean holds, String what) {
    steps.add(
        new SelfTestStep(step, holds ? "passed" : "failed", holds ? what : "Not so: " + what));
  }
}
