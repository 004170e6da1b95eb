package io.valetkey.broker.policy;

import io.valetkey.broker.policy.AgentSpec.Identity;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.IssuerSpec.IssuerType;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * What a resource must be with respect to the others. Called under the lock that every writer
 * takes, so what is found here is still so when the change is committed.
 */
final class ReferenceRules {

  private static final int MOST_NAMED = 5;

  /** Segments that are not dots, and a final slash for a prefix (SPIFFE-ID section 2.2). */
  private static final Pattern SPIFFE_PATH =
      Pattern.compile("((?!\\.{1,2}(/|$))[A-Za-z0-9._-]+(/|$))*");

  private final JdbcClient jdbc;
  private final PolicyRows rows;
  private final ResourceJson json;

  ReferenceRules(JdbcClient jdbc, PolicyRows rows, ResourceJson json) {
    this.jdbc = jdbc;
    this.rows = rows;
    this.json = json;
  }

  /** What the resource refers to that is not there, or does not fit. */
  List<FieldError> check(ResourceId id, ResourceSpec spec) {
    Errors errors = new Errors();
    switch (spec) {
      case AgentSpec agent -> checkIdentities(agent.identities(), errors);
      case GrantSpec grant -> checkGrant(grant, errors);
      case SignalRuleSpec rule -> checkAgents(rule, errors);
      case IssuerSpec issuer -> {}
      case DestinationSpec destination -> {}
      case ScopeSpec scope -> checkScopeFits(String.valueOf(id.parent()), scope, errors);
    }
    return errors.all();
  }

  /**
   * Refuses what would stand in another resource's way.
   *
   * @param before what it was, null if it is new
   * @param checked agents whose identities are checked besides, so that nothing about them needs to
   *     be guarded here
   * @throws RefusedException {@link ProblemCode#CONFLICT} naming the other one
   */
  void checkConflicts(
      ResourceId id, ResourceSpec spec, @Nullable ResourceSpec before, Set<String> checked) {
    switch (spec) {
      case IssuerSpec issuer -> checkIssuer(id.name(), issuer, (IssuerSpec) before, checked);
      case AgentSpec agent -> checkBindings(id.name(), agent.identities());
      case GrantSpec grant ->
          jdbc.sql("SELECT name FROM agent_grant WHERE agent = ? AND destination = ? AND name <> ?")
              .params(grant.agent(), grant.destination(), id.name())
              .query(String.class)
              .optional()
              .ifPresent(other -> {
                throw conflict(
                    "The grant " + other + " already joins this agent and this destination.");
              });
      case DestinationSpec destination -> {
        checkScopesFit(id.name(), destination);
        checkOrigin(id.name(), destination);
      }
      case ScopeSpec scope -> {}
      case SignalRuleSpec rule -> {}
    }
  }

  /** A scope says what its kind of destination can do, in the field that is for it. */
  private void checkScopeFits(String destination, ScopeSpec scope, Errors errors) {
    DestinationSpec spec = destination(destination);
    if (spec == null) {
      return;
    }
    checkPatternsFit(isRaw(spec), scope, errors);
    Manner manner = spec.kind().manner();
    require("/lease", scope.lease() != null, manner, Manner.LEASED, errors);
    require("/tunnel", scope.tunnel() != null, manner, Manner.TUNNELLED, errors);
  }

  private static void checkPatternsFit(boolean raw, ScopeSpec scope, Errors errors) {
    for (int i = 0; i < scope.allow().size(); i++) {
      List<String> paths = scope.allow().get(i).paths();
      for (int j = 0; j < paths.size(); j++) {
        String problem = ResourceValidator.patternError(paths.get(j), raw);
        if (problem != null) {
          errors.invalid("/allow/" + i + "/paths/" + j, problem);
        }
      }
    }
  }

  private static void require(
      String pointer, boolean there, Manner manner, Manner where, Errors errors) {
    if (!there && manner == where) {
      errors.add(pointer, FieldError.REQUIRED, "is required: the destination is " + where.word());
    } else if (there && manner != where) {
      errors.invalid(pointer, "must be left out: the destination is not " + where.word());
    }
  }

  private static boolean isRaw(DestinationSpec spec) {
    return Boolean.TRUE.equals(spec.rawPath());
  }

  /** How the destination is used; null if there is none, which is somebody else's to say. */
  private @Nullable Manner manner(String destination) {
    DestinationSpec spec = destination(destination);
    return spec == null ? null : spec.kind().manner();
  }

  private @Nullable DestinationSpec destination(String name) {
    return rows.find(ResourceId.of(ResourceKind.DESTINATION, name))
        .map(stored -> (DestinationSpec) json.read(ResourceKind.DESTINATION, stored.spec()))
        .orElse(null);
  }

  /** Scopes of another kind would mean nothing, nor would paths that no request can have. */
  private void checkScopesFit(String name, DestinationSpec destination) {
    String other =
        switch (destination.kind().manner()) {
          case BROKERED -> "(spec->'lease' IS NOT NULL OR spec->'tunnel' IS NOT NULL)";
          case TUNNELLED -> "spec->'tunnel' IS NULL";
          case LEASED -> "spec->'lease' IS NULL";
        };
    refuseIfAny(
        "scopes of the other kind", names("scope WHERE destination = ? AND " + other, name));
    boolean raw = isRaw(destination);
    refuseIfAny(
        raw ? "scopes with other patterns than prefixes" : "scopes with raw paths",
        rows.scopesOf(name).stream()
            .filter(stored -> hasOtherPatterns(stored, raw))
            .map(stored -> stored.id().name())
            .toList());
  }

  private boolean hasOtherPatterns(StoredResource stored, boolean raw) {
    ScopeSpec scope = (ScopeSpec) json.read(ResourceKind.SCOPE, stored.spec());
    return scope.allow().stream()
        .flatMap(rule -> rule.paths().stream())
        .anyMatch(path -> ResourceValidator.patternError(path, raw) != null);
  }

  /**
   * Where a tunnel leads, nothing else does: whoever may be there by requests only, which are read,
   * must not come to be there unread because somebody mixed two names up.
   */
  private void checkOrigin(String name, DestinationSpec destination) {
    List<String> kinds =
        switch (destination.kind().manner()) {
          case BROKERED -> List.of("tunnel");
          case TUNNELLED -> List.of("http", "tunnel");
          case LEASED -> List.of();
        };
    URI origin = URI.create(destination.origin());
    String bare = "https://" + origin.getHost();
    jdbc.sql(
            "SELECT name, spec->>'origin' AS origin FROM destination WHERE name <> :name AND"
                + " spec->>'kind' = ANY (:kinds) AND (spec->>'origin' = :bare OR"
                + " starts_with(spec->>'origin', :bare || ':')) ORDER BY name")
        .param("name", name)
        .param("kinds", kinds.toArray(String[]::new))
        .param("bare", bare)
        .query((row, number) -> {
          if (Destination.port(URI.create(row.getString(2))) == Destination.port(origin)) {
            throw conflict(
                "The destination "
                    + row.getString(1)
                    + " leads to the same host and port: where there is a tunnel, it is the only"
                    + " destination.");
          }
          return number;
        })
        .list();
  }

  /**
   * Refuses to delete what something else refers to.
   *
   * @throws RefusedException {@link ProblemCode#CONFLICT} naming what refers
   */
  void checkUnused(ResourceId id) {
    switch (id.kind()) {
      case ISSUER -> refuseIfAny("agents", usersOfIssuer(id.name(), Set.of()));
      case AGENT -> {
        refuseIfAny("grants", names("agent_grant WHERE agent = ?", id.name()));
        refuseIfAny(
            "signal rules",
            names("signal_rule WHERE spec->'agents' @> to_jsonb(?::text)", id.name()));
      }
      case DESTINATION -> {
        refuseIfAny("scopes", names("scope WHERE destination = ?", id.name()));
        refuseIfAny("grants", names("agent_grant WHERE destination = ?", id.name()));
      }
      case SCOPE ->
          refuseIfAny(
              "grants",
              jdbc.sql(
                      "SELECT grant_name FROM agent_grant_scope WHERE destination = ? AND scope = ?"
                          + " ORDER BY grant_name LIMIT 6")
                  .param(id.parent())
                  .param(id.name())
                  .query(String.class)
                  .list());
      case GRANT, SIGNAL_RULE -> {}
    }
  }

  private void checkIdentities(List<Identity> identities, Errors errors) {
    for (int i = 0; i < identities.size(); i++) {
      Identity identity = identities.get(i);
      String pointer = "/identities/" + i;
      Optional<IssuerSpec> issuer = issuer(identity.issuer());
      if (issuer.isEmpty()) {
        errors.add(
            pointer + "/issuer", FieldError.UNKNOWN_REFERENCE, "is not the name of an issuer");
      } else if (issuer.get().type() == IssuerType.SPIFFE) {
        String prefix = "spiffe://" + issuer.get().trustDomain() + "/";
        if (!isBelow(prefix, identity.subject())) {
          errors.invalid(
              pointer + "/subject", "must be a SPIFFE ID of the issuer's trust domain: " + prefix);
        }
      }
    }
  }

  /** Whether a subject is a SPIFFE ID below a trust domain, or a path prefix there. */
  private static boolean isBelow(String trustDomain, String subject) {
    return subject.startsWith(trustDomain)
        && SPIFFE_PATH.matcher(subject.substring(trustDomain.length())).matches();
  }

  private void checkGrant(GrantSpec grant, Errors errors) {
    if (rows.find(ResourceId.of(ResourceKind.AGENT, grant.agent())).isEmpty()) {
      errors.add("/agent", FieldError.UNKNOWN_REFERENCE, "is not the name of an agent");
    }
    if (rows.find(ResourceId.of(ResourceKind.DESTINATION, grant.destination())).isEmpty()) {
      errors.add("/destination", FieldError.UNKNOWN_REFERENCE, "is not the name of a destination");
      return;
    }
    GrantSpec.Limits limits = grant.limits();
    if (limits != null) {
      checkLimits(limits, manner(grant.destination()), errors);
    }
    Set<String> scopes =
        new HashSet<>(
            jdbc.sql("SELECT name FROM scope WHERE destination = ?")
                .param(grant.destination())
                .query(String.class)
                .list());
    for (int i = 0; i < grant.scopes().size(); i++) {
      if (!scopes.contains(grant.scopes().get(i))) {
        errors.add(
            "/scopes/" + i, FieldError.UNKNOWN_REFERENCE, "is not a scope of this destination");
      }
    }
  }

  /** A limit on what nobody can count would look as if it protected something. */
  private static void checkLimits(GrantSpec.Limits limits, @Nullable Manner manner, Errors errors) {
    switch (manner) {
      case LEASED -> {
        if (!limits.caps().isNone()) {
          errors.invalid(
              "/limits", "can have requestsPerMinute only: what is leased does not pass a gateway");
        }
      }
      case TUNNELLED -> {
        if (limits.modelTokensPerHour() != null || limits.modelTokensPerDay() != null) {
          errors.invalid("/limits", "can have no model tokens: what is in a tunnel is not read");
        }
      }
      case BROKERED -> {}
      case null -> {}
    }
  }

  /** A rule for an agent that does not exist would protect nobody, and look as if it did. */
  private void checkAgents(SignalRuleSpec rule, Errors errors) {
    List<String> agents = rule.agents() == null ? List.of() : rule.agents();
    for (int i = 0; i < agents.size(); i++) {
      if (rows.find(ResourceId.of(ResourceKind.AGENT, agents.get(i))).isEmpty()) {
        errors.add("/agents/" + i, FieldError.UNKNOWN_REFERENCE, "is not the name of an agent");
      }
    }
  }

  private void checkIssuer(
      String name, IssuerSpec issuer, @Nullable IssuerSpec before, Set<String> checked) {
    jdbc.sql("SELECT name FROM issuer WHERE issuer_key = ? AND name <> ?")
        .params(PolicyRows.issuerKey(issuer), name)
        .query(String.class)
        .optional()
        .ifPresent(other -> {
          throw conflict("The issuer " + other + " already has this issuer or trust domain.");
        });
    boolean subjectsChangeMeaning =
        before != null
            && (before.type() == IssuerType.SPIFFE || issuer.type() == IssuerType.SPIFFE)
            && !PolicyRows.issuerKey(before).equals(PolicyRows.issuerKey(issuer));
    if (subjectsChangeMeaning) {
      refuseIfAny("agents, whose subjects would no longer fit", usersOfIssuer(name, checked));
    }
  }

  private void checkBindings(String agent, List<Identity> identities) {
    for (Identity identity : identities) {
      boolean spiffe = identity.subject().startsWith("spiffe://");
      Map<String, String> claims = identity.claims() == null ? Map.of() : identity.claims();
      jdbc.sql(
              "SELECT agent, claims::text FROM agent_identity WHERE issuer = :issuer AND agent <>"
                  + " :agent AND (subject IN (:subjects) OR (:prefix AND starts_with(subject,"
                  + " :subject)))")
          .param("issuer", identity.issuer())
          .param("agent", agent)
          .param("subjects", spiffe ? withPrefixes(identity.subject()) : Set.of(identity.subject()))
          .param("prefix", spiffe && identity.subject().endsWith("/"))
          .param("subject", identity.subject())
          .query((row, number) -> {
            if (rows.canBothMatch(claims, row.getString(2))) {
              throw conflict(
                  "The agent %s already has the identity %s of the issuer %s, or one that overlaps."
                      .formatted(row.getString(1), identity.subject(), identity.issuer()));
            }
            return number;
          })
          .list();
    }
  }

  /** The subject itself and each path prefix under which it falls. */
  private static Set<String> withPrefixes(String subject) {
    Set<String> subjects = new LinkedHashSet<>();
    subjects.add(subject);
    for (int slash = subject.indexOf('/', "spiffe://".length());
        slash >= 0;
        slash = subject.indexOf('/', slash + 1)) {
      subjects.add(subject.substring(0, slash + 1));
    }
    return subjects;
  }

  private Optional<IssuerSpec> issuer(String name) {
    return rows.find(ResourceId.of(ResourceKind.ISSUER, name))
        .map(stored -> (IssuerSpec) json.read(ResourceKind.ISSUER, stored.spec()));
  }

  private List<String> usersOfIssuer(String issuer, Set<String> apartFrom) {
    return jdbc.sql(
            "SELECT DISTINCT agent FROM agent_identity WHERE issuer = ? AND agent <> ALL (?)"
                + " ORDER BY agent LIMIT 6")
        .params(issuer, apartFrom.toArray(String[]::new))
        .query(String.class)
        .list();
  }

  private List<String> names(String from, @Nullable String name) {
    return jdbc.sql("SELECT name FROM " + from + " ORDER BY name LIMIT 6")
        .param(name)
        .query(String.class)
        .list();
  }

  private static void refuseIfAny(String what, List<String> users) {
    if (!users.isEmpty()) {
      List<String> named = new ArrayList<>(users.subList(0, Math.min(users.size(), MOST_NAMED)));
      String more = users.size() > MOST_NAMED ? " and others" : "";
      throw conflict(
          "It is still referred to by " + what + ": " + String.join(", ", named) + more + ".");
    }
  }

  private static RefusedException conflict(String detail) {
    return new RefusedException(ProblemCode.CONFLICT, detail);
  }
}
