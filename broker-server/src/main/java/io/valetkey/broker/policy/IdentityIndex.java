package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Finds the agents that an identity belongs to: by exact subject, or, for SPIFFE subjects that end
 * with a slash, by path prefix. There are no other patterns.
 */
final class IdentityIndex {

  private final ShardedMap<Key, List<Binding>> bindings;

  private record Key(String issuer, String subject) {}

  private record Binding(String agent, Map<String, String> claims) {

    boolean fits(Map<String, @Nullable Object> presented) {
      for (Map.Entry<String, String> claim : claims.entrySet()) {
        if (!Objects.equals(presented.get(claim.getKey()), claim.getValue())) {
          return false;
        }
      }
      return true;
    }
  }

  private IdentityIndex(ShardedMap<Key, List<Binding>> bindings) {
    this.bindings = bindings;
  }

  static IdentityIndex empty() {
    return new IdentityIndex(ShardedMap.empty());
  }

  /** The names of all agents that this identity fits: one, unless something is wrong. */
  List<String> agentsOf(String issuer, String subject, Map<String, @Nullable Object> claims) {
    List<String> agents = new ArrayList<>(1);
    collect(issuer, subject, claims, agents);
    if (subject.startsWith("spiffe://")) {
      int slash = subject.indexOf('/', "spiffe://".length());
      while (slash >= 0) {
        collect(issuer, subject.substring(0, slash + 1), claims, agents);
        slash = subject.indexOf('/', slash + 1);
      }
    }
    return agents;
  }

  private void collect(
      String issuer, String subject, Map<String, @Nullable Object> claims, List<String> agents) {
    List<Binding> found = bindings.get(new Key(issuer, subject));
    if (found == null) {
      return;
    }
    for (Binding binding : found) {
      if (binding.fits(claims) && !agents.contains(binding.agent())) {
        agents.add(binding.agent());
      }
    }
  }

  Change change() {
    return new Change(bindings.change());
  }

  /** A changed copy in the making. */
  static final class Change {

    private final ShardedMap.Change<Key, List<Binding>> bindings;

    private Change(ShardedMap.Change<Key, List<Binding>> bindings) {
      this.bindings = bindings;
    }

    void add(Agent agent) {
      for (AgentSpec.Identity identity : agent.identities()) {
        Key key = new Key(identity.issuer(), identity.subject());
        Map<String, String> claims = identity.claims();
        List<Binding> list = new ArrayList<>(bindingsOf(key));
        list.add(new Binding(agent.name(), claims == null ? Map.of() : Map.copyOf(claims)));
        bindings.put(key, List.copyOf(list));
      }
    }

    void remove(Agent agent) {
      for (AgentSpec.Identity identity : agent.identities()) {
        Key key = new Key(identity.issuer(), identity.subject());
        List<Binding> left =
            bindingsOf(key).stream().filter(b -> !b.agent().equals(agent.name())).toList();
        if (left.isEmpty()) {
          bindings.remove(key);
        } else {
          bindings.put(key, left);
        }
      }
    }

    private List<Binding> bindingsOf(Key key) {
      List<Binding> found = bindings.get(key);
      return found == null ? List.of() : found;
    }

    IdentityIndex done() {
      return new IdentityIndex(bindings.done());
    }
  }
}
