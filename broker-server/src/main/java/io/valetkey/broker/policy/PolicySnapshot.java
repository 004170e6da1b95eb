package io.valetkey.broker.policy;

import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.TrustedIssuers;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The whole policy, compiled and immutable. Every decision is made on one snapshot; a change makes
 * another one that shares what did not change.
 */
public final class PolicySnapshot implements TrustedIssuers {

  /** The policy of an installation in which nobody has written anything: nothing is allowed. */
  public static final PolicySnapshot EMPTY =
      new PolicySnapshot(
          0, Map.of(), Map.of(), ShardedTable.empty(), IdentityIndex.empty(), Map.of(), Map.of());

  private final long version;
  private final Map<String, TrustedIssuer> issuersByName;
  private final Map<String, TrustedIssuer> issuersByKey;
  private final ShardedTable<Agent> agents;
  private final IdentityIndex identities;
  private final Map<String, Destination> destinations;
  private final Map<String, SignalRule> signalRules;

  private PolicySnapshot(
      long version,
      Map<String, TrustedIssuer> issuersByName,
      Map<String, TrustedIssuer> issuersByKey,
      ShardedTable<Agent> agents,
      IdentityIndex identities,
      Map<String, Destination> destinations,
      Map<String, SignalRule> signalRules) {
    this.version = version;
    this.issuersByName = issuersByName;
    this.issuersByKey = issuersByKey;
    this.agents = agents;
    this.identities = identities;
    this.destinations = destinations;
    this.signalRules = signalRules;
  }

  /**
   * One resource as it is now.
   *
   * @param kind its kind
   * @param name its name; {@code destination/scope} for a scope
   * @param version its version
   * @param spec what was written, or null if it is gone
   */
  public record Delta(ResourceKind kind, String name, long version, @Nullable ResourceSpec spec) {}

  /** The number of the last change that it contains. */
  public long version() {
    return version;
  }

  /** The agent with this name, or null. */
  public @Nullable Agent agent(String name) {
    return agents.find(name.hashCode(), agent -> agent.name().equals(name));
  }

  /** How many agents there are. */
  public int agentCount() {
    return agents.size();
  }

  /** The destination with this name, or null. */
  public @Nullable Destination destination(String name) {
    return destinations.get(name);
  }

  /** All destinations. */
  public Collection<Destination> destinations() {
    return destinations.values();
  }

  /** All rules for signals, in no order. */
  public Collection<SignalRule> signalRules() {
    return signalRules.values();
  }

  /** The issuer with this name, or null. */
  public @Nullable TrustedIssuer issuer(String name) {
    return issuersByName.get(name);
  }

  /** The names of all registered issuers. */
  Set<String> issuerNames() {
    return Set.copyOf(issuersByName.keySet());
  }

  @Override
  public @Nullable TrustedIssuer byIssuer(String iss) {
    TrustedIssuer found = issuersByKey.get(iss);
    return found == null || found.type() == TrustedIssuer.Type.SPIFFE ? null : found;
  }

  @Override
  public @Nullable TrustedIssuer byTrustDomain(String domain) {
    TrustedIssuer found = issuersByKey.get(domain);
    return found == null || found.type() != TrustedIssuer.Type.SPIFFE ? null : found;
  }

  /**
   * The names of all agents that a verified identity belongs to: one, unless something is wrong.
   */
  public List<String> agentsOf(
      String issuer, String subject, Map<String, @Nullable Object> claims) {
    return identities.agentsOf(issuer, subject, claims);
  }

  /**
   * The policy after these changes.
   *
   * @param newVersion the number of the last of them
   */
  public PolicySnapshot with(long newVersion, Consumer<Consumer<Delta>> changes) {
    var change = new Change();
    changes.accept(change::apply);
    return change.done(newVersion);
  }

  private final class Change {

    private final Map<String, TrustedIssuer> newIssuers = new HashMap<>(issuersByName);
    private final ShardedTable.Change<Agent> newAgents =
        agents.change(agent -> agent.name().hashCode());
    private final IdentityIndex.Change newIdentities = identities.change();
    private final Map<String, Destination> newDestinations = new HashMap<>(destinations);
    private final Map<String, SignalRule> newSignalRules = new HashMap<>(signalRules);
    private final Map<String, Map<String, ScopeSpec>> newScopes = new HashMap<>();
    private final Set<String> goneGrants = new HashSet<>();
    private final Map<String, NewGrant> newGrants = new HashMap<>();

    private record NewGrant(String agent, Grant grant) {}

    void apply(Delta delta) {
      ResourceSpec spec = delta.spec();
      switch (delta.kind()) {
        case ISSUER -> issuer(delta, (IssuerSpec) spec);
        case AGENT -> agent(delta.name(), (AgentSpec) spec);
        case DESTINATION -> destination(delta.name(), (DestinationSpec) spec);
        case SCOPE -> scope(delta.name(), (ScopeSpec) spec);
        case GRANT -> grant(delta.name(), (GrantSpec) spec);
        case SIGNAL_RULE -> signalRule(delta.name(), (SignalRuleSpec) spec);
      }
    }

    private void issuer(Delta delta, @Nullable IssuerSpec spec) {
      if (spec == null) {
        newIssuers.remove(delta.name());
      } else {
        newIssuers.put(delta.name(), IssuerCompiler.compile(delta.name(), delta.version(), spec));
      }
    }

    private void agent(String name, @Nullable AgentSpec spec) {
      Agent old = agent(name);
      if (old != null) {
        newIdentities.remove(old);
        newAgents.remove(old);
      }
      if (spec != null) {
        Agent agent = Agent.compile(name, spec, old == null ? List.of() : old.grants());
        newAgents.add(agent);
        newIdentities.add(agent);
      }
    }

    private @Nullable Agent agent(String name) {
      return newAgents.find(name.hashCode(), agent -> agent.name().equals(name));
    }

    private void destination(String name, @Nullable DestinationSpec spec) {
      if (spec == null) {
        newDestinations.remove(name);
        newScopes.remove(name);
      } else {
        newDestinations.put(name, Destination.compile(name, spec, Map.of()));
        scopesOf(name);
      }
    }

    private Map<String, ScopeSpec> scopesOf(String destination) {
      return newScopes.computeIfAbsent(
          destination,
          d -> {
            Destination old = destinations.get(d);
            return new HashMap<>(old == null ? Map.of() : old.scopes());
          });
    }

    private void scope(String name, @Nullable ScopeSpec spec) {
      int slash = name.indexOf('/');
      Map<String, ScopeSpec> scopes = scopesOf(name.substring(0, slash));
      String scope = name.substring(slash + 1);
      if (spec == null) {
        scopes.remove(scope);
      } else {
        scopes.put(scope, spec);
      }
    }

    private void grant(String name, @Nullable GrantSpec spec) {
      goneGrants.add(name);
      if (spec == null) {
        newGrants.remove(name);
      } else {
        newGrants.put(name, new NewGrant(spec.agent(), Grant.compile(name, spec)));
      }
    }

    private void signalRule(String name, @Nullable SignalRuleSpec spec) {
      if (spec == null) {
        newSignalRules.remove(name);
      } else {
        newSignalRules.put(name, SignalRule.compile(name, spec));
      }
    }

    PolicySnapshot done(long newVersion) {
      if (version > 0) {
        removeOldGrants();
      }
      newGrants.values().forEach(this::addGrant);
      newScopes.forEach(
          (name, scopes) -> newDestinations.computeIfPresent(name, (n, d) -> d.with(scopes)));
      Map<String, TrustedIssuer> byKey = new HashMap<>();
      newIssuers.values().forEach(issuer -> byKey.put(issuer.key(), issuer));
      return new PolicySnapshot(
          newVersion,
          Map.copyOf(newIssuers),
          Map.copyOf(byKey),
          newAgents.done(),
          newIdentities.done(),
          Map.copyOf(newDestinations),
          Map.copyOf(newSignalRules));
    }

    /**
     * A grant may have moved to another agent, and keeping an index by grant name would double the
     * memory of a large policy. One pass over all agents for each batch of changes is cheaper.
     */
    private void removeOldGrants() {
      if (goneGrants.isEmpty()) {
        return;
      }
      agents.forEach(agent -> {
        for (Grant grant : agent.grants()) {
          String name = grant.name();
          Agent now = goneGrants.contains(name) ? agent(agent.name()) : null;
          if (now != null) {
            newAgents.replace(now, now.without(name));
          }
        }
      });
    }

    private void addGrant(NewGrant added) {
      Agent agent = agent(added.agent());
      if (agent != null) {
        newAgents.replace(agent, agent.with(added.grant()));
      }
    }
  }
}
