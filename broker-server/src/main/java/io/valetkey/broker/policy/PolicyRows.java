package io.valetkey.broker.policy;

import io.valetkey.broker.policy.AgentSpec.Identity;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * The tables of the resources. Besides the document they hold what the database itself must know:
 * references, and keys that only one row may have.
 */
final class PolicyRows {

  private final JdbcClient jdbc;
  private final StrictJson json;

  PolicyRows(JdbcClient jdbc, StrictJson json) {
    this.jdbc = jdbc;
    this.json = json;
  }

  Optional<StoredResource> find(ResourceId id) {
    return jdbc.sql("SELECT * FROM " + table(id.kind()) + " WHERE " + key(id.kind()))
        .param("name", id.name())
        .param("destination", id.parent())
        .query((row, number) -> resource(row, id.kind()))
        .optional();
  }

  List<StoredResource> after(
      ResourceKind kind, @Nullable String parent, String lastName, int limit) {
    String within = kind == ResourceKind.SCOPE ? "destination = :destination AND " : "";
    return jdbc.sql(
            "SELECT * FROM "
                + table(kind)
                + " WHERE "
                + within
                + "name > :name ORDER BY name LIMIT :limit")
        .param("destination", parent)
        .param("name", lastName)
        .param("limit", limit)
        .query((row, number) -> resource(row, kind))
        .list();
  }

  /** Everything that an owner keeps, in an order in which it could be created. */
  List<StoredResource> ownedBy(String owner, int limit) {
    return allWhere("managed_by = :owner", owner, limit);
  }

  /** Everything that no owner keeps. */
  List<StoredResource> ownedByNobody(int limit) {
    return allWhere("managed_by IS NULL", null, limit);
  }

  /** All scopes of a destination. */
  List<StoredResource> scopesOf(String destination) {
    return jdbc.sql("SELECT * FROM scope WHERE destination = ? ORDER BY name")
        .param(destination)
        .query((row, number) -> resource(row, ResourceKind.SCOPE))
        .list();
  }

  /** Everything. */
  List<StoredResource> all(int limit) {
    return allWhere("TRUE", null, limit);
  }

  private List<StoredResource> allWhere(String condition, @Nullable String owner, int limit) {
    List<StoredResource> found = new ArrayList<>();
    for (ResourceKind kind : ResourceKind.values()) {
      String order = kind == ResourceKind.SCOPE ? "destination, name" : "name";
      found.addAll(
          jdbc.sql(
                  "SELECT * FROM %s WHERE %s ORDER BY %s LIMIT :limit"
                      .formatted(table(kind), condition, order))
              .param("owner", owner)
              .param("limit", limit)
              .query((row, number) -> resource(row, kind))
              .list());
    }
    return found;
  }

  /**
   * Writes a new row or over the one that is there, with everything that hangs on it.
   *
   * @param owner who keeps it from now on; null leaves that as it is
   */
  StoredResource write(
      ResourceId id, ObjectNode document, ResourceSpec spec, long version, @Nullable String owner) {
    Map<String, Object> values = new LinkedHashMap<>(ownColumns(id, spec));
    String names = values.keySet().stream().map(c -> ", " + c).collect(Collectors.joining());
    String places = values.keySet().stream().map(c -> ", :" + c).collect(Collectors.joining());
    String updates =
        values.keySet().stream()
            .map(c -> ", " + c + " = excluded." + c)
            .collect(Collectors.joining());
    String conflict = id.kind() == ResourceKind.SCOPE ? "destination, name" : "name";
    StoredResource stored =
        jdbc.sql(
                ("INSERT INTO %s AS old (name, spec, version, managed_by, applied_version%s)"
                        + " VALUES (:name, :spec::jsonb, :version, :owner, :applied%s)"
                        + " ON CONFLICT (%s) DO UPDATE SET spec = excluded.spec,"
                        + " version = excluded.version,"
                        + " managed_by = coalesce(excluded.managed_by, old.managed_by),"
                        + " applied_version = coalesce(excluded.applied_version, old.applied_version),"
                        + " updated_at = now()%s RETURNING *")
                    .formatted(table(id.kind()), names, places, conflict, updates))
            .param("name", id.name())
            .param("spec", json.write(document))
            .param("version", version)
            .param("owner", owner)
            .param("applied", owner == null ? null : version, Types.BIGINT)
            .params(values)
            .query((row, number) -> resource(row, id.kind()))
            .single();
    writeReferences(id, spec);
    return stored;
  }

  void delete(ResourceId id) {
    jdbc.sql("DELETE FROM " + table(id.kind()) + " WHERE " + key(id.kind()))
        .param("name", id.name())
        .param("destination", id.parent())
        .update();
  }

  private void writeReferences(ResourceId id, ResourceSpec spec) {
    switch (spec) {
      case AgentSpec agent -> writeIdentities(id.name(), agent.identities());
      case GrantSpec grant -> {
        jdbc.sql("DELETE FROM agent_grant_scope WHERE grant_name = ?").param(id.name()).update();
        jdbc.sql(
                "INSERT INTO agent_grant_scope (grant_name, destination, scope)"
                    + " SELECT ?, ?, unnest(?)")
            .params(id.name(), grant.destination(), grant.scopes().toArray(String[]::new))
            .update();
      }
      case IssuerSpec issuer -> {}
      case DestinationSpec destination -> {}
      case ScopeSpec scope -> {}
      case SignalRuleSpec rule -> {}
    }
  }

  private void writeIdentities(String agent, List<Identity> identities) {
    jdbc.sql("DELETE FROM agent_identity WHERE agent = ?").param(agent).update();
    for (int i = 0; i < identities.size(); i++) {
      Identity identity = identities.get(i);
      ObjectNode claims = JsonNodeFactory.instance.objectNode();
      if (identity.claims() != null) {
        identity.claims().forEach(claims::put);
      }
      jdbc.sql(
              "INSERT INTO agent_identity (agent, ordinal, issuer, subject, claims)"
                  + " VALUES (?, ?, ?, ?, ?::jsonb)")
          .params(agent, i, identity.issuer(), identity.subject(), json.write(claims))
          .update();
    }
  }

  /** Whether one identity can have both sets of claims: no claim is in both with two values. */
  boolean canBothMatch(Map<String, String> claims, String storedClaims) {
    ObjectNode stored = json.stored(storedClaims);
    return claims.entrySet().stream()
        .allMatch(claim -> {
          JsonNode other = stored.get(claim.getKey());
          return other == null || claim.getValue().equals(other.stringValue());
        });
  }

  /** The exact {@code iss} or the trust domain: what two issuers may never share. */
  static String issuerKey(IssuerSpec issuer) {
    return Objects.requireNonNull(issuer.issuer() == null ? issuer.trustDomain() : issuer.issuer());
  }

  private static Map<String, Object> ownColumns(ResourceId id, ResourceSpec spec) {
    return switch (spec) {
      case IssuerSpec issuer -> Map.of("issuer_key", issuerKey(issuer));
      case ScopeSpec scope -> Map.of("destination", Objects.requireNonNull(id.parent()));
      case GrantSpec grant -> Map.of("agent", grant.agent(), "destination", grant.destination());
      case AgentSpec agent -> Map.of();
      case DestinationSpec destination -> Map.of();
      case SignalRuleSpec rule -> Map.of();
    };
  }

  private StoredResource resource(ResultSet row, ResourceKind kind) throws SQLException {
    String parent = kind == ResourceKind.SCOPE ? row.getString("destination") : null;
    return new StoredResource(
        new ResourceId(kind, parent, row.getString("name")),
        json.stored(row.getString("spec")),
        row.getLong("version"),
        row.getString("managed_by"),
        row.getLong("applied_version"),
        row.getObject("created_at", OffsetDateTime.class).toInstant(),
        row.getObject("updated_at", OffsetDateTime.class).toInstant());
  }

  static String table(ResourceKind kind) {
    return switch (kind) {
      case ISSUER -> "issuer";
      case AGENT -> "agent";
      case DESTINATION -> "destination";
      case SCOPE -> "scope";
      case GRANT -> "agent_grant";
      case SIGNAL_RULE -> "signal_rule";
    };
  }

  private static String key(ResourceKind kind) {
    return kind == ResourceKind.SCOPE
        ? "name = :name AND destination = :destination"
        : "name = :name";
  }
}
