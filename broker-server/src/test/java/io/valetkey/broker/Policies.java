package io.valetkey.broker;

import io.valetkey.broker.policy.PolicyView;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** Writes resources as the admin API stores them, for tests of what lies below it. */
public final class Policies {

  private final RunningBroker broker;

  public Policies(RunningBroker broker) {
    this.broker = broker;
  }

  public Policies issuer(TestIssuer issuer) {
    return write(
        "issuer",
        issuer.name(),
        "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
        issuer.name(),
        issuer.spec(),
        "https://" + issuer.name() + ".test");
  }

  /** A trust domain whose X.509-SVIDs these authorities sign. */
  public Policies spiffe(String name, String trustDomain, String authorities) {
    return write(
        "issuer",
        name,
        "INSERT INTO issuer (name, spec, version, issuer_key) VALUES (?, ?::jsonb, 1, ?)",
        name,
        JsonMapper.shared()
            .writeValueAsString(
                Map.of(
                    "type",
                    "spiffe",
                    "trustDomain",
                    trustDomain,
                    "x509",
                    Map.of("authorities", authorities))),
        trustDomain);
  }

  public Policies agent(String name, String issuer, String subject, String more) {
    write(
        "agent",
        name,
        "INSERT INTO agent (name, spec, version) VALUES (?, ?::jsonb, 1)",
        name,
        "{\"identities\":[{\"issuer\":\"%s\",\"subject\":\"%s\"}]%s}"
            .formatted(issuer, subject, more));
    return this;
  }

  public Policies destination(String name, String spec) {
    return write(
        "destination",
        name,
        "INSERT INTO destination (name, spec, version) VALUES (?, ?::jsonb, 1)",
        name,
        spec);
  }

  public Policies scope(String destination, String name, String spec) {
    return write(
        "scope",
        destination + "/" + name,
        "INSERT INTO scope (destination, name, spec, version) VALUES (?, ?, ?::jsonb, 1)",
        destination,
        name,
        spec);
  }

  public Policies grant(String name, String agent, String destination, List<String> scopes) {
    String list = String.join(",", scopes.stream().map(s -> '"' + s + '"').toList());
    return write(
        "grant",
        name,
        "INSERT INTO agent_grant (name, agent, destination, spec, version)"
            + " VALUES (?, ?, ?, ?::jsonb, 1)",
        name,
        agent,
        destination,
        "{\"agent\":\"%s\",\"destination\":\"%s\",\"scopes\":[%s]}"
            .formatted(agent, destination, list));
  }

  public Policies write(String kind, String name, String sql, String... values) {
    try (Connection connection = broker.database()) {
      connection.setAutoCommit(false);
      try (var statement = connection.prepareStatement(sql)) {
        for (int i = 0; i < values.length; i++) {
          statement.setString(i + 1, values[i]);
        }
        statement.execute();
      }
      try (var log =
          connection.prepareStatement(
              "INSERT INTO change_log (id, kind, name) VALUES (nextval('change_log_id'), ?, ?)")) {
        log.setString(1, kind);
        log.setString(2, name);
        log.execute();
      }
      connection.createStatement().execute("NOTIFY valetkey_change");
      connection.commit();
      return this;
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Waits until the broker has taken in everything that is in the change log now. */
  public void await(RunningBroker replica) throws Exception {
    long latest;
    try (Connection connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery("SELECT coalesce(max(id), 0) FROM change_log")) {
      rows.next();
      latest = rows.getLong(1);
    }
    PolicyView view = replica.bean(PolicyView.class);
    for (int i = 0; i < 500 && view.current().version() < latest; i++) {
      Thread.sleep(10);
    }
    if (view.current().version() < latest) {
      throw new AssertionError("the replica did not take the policy in");
    }
  }
}
