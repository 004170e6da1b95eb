package io.valetkey.broker.policy;

import io.valetkey.broker.policy.Agent.Identity;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds the agents that an identity belongs to: by exact subject, or, for SPIFFE subjects that end
 * with a slash, by path prefix. There are no other patterns.
 */
final class IdentityIndex {

  private final ShardedTable<Identity> bound;

  private IdentityIndex(ShardedTable<Identity> bound) {
    this.bound = bound;
  }

  static IdentityIndex empty() {
    return new IdentityIndex(ShardedTable.empty());
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
    bound.find(
        hash(issuer, subject),
        identity -> {
          if (identity.subject().equals(subject)
              && identity.issuer().equals(issuer)
              && identity.hasClaims(claims)
              && !agents.contains(identity.agent())) {
            agents.add(identity.agent());
          }
          return false; // there may be more: two agents told apart by their claims
        });
  }

  private static int hash(String issuer, String subject) {
    return issuer.hashCode() * 31 + subject.hashCode();
  }

  Change change() {
    return new Change(bound.change(identity -> hash(identity.issuer(), identity.subject())));
  }

  /** A changed copy in the making. */
  static final class Change {

    private final ShardedTable.Change<Identity> bound;

    private Change(ShardedTable.Change<Identity> bound) {
      this.bound = bound;
    }

    void add(Agent agent) {
      agent.identities().forEach(bound::add);
    }

    void remove(Agent agent) {
      agent.identities().forEach(bound::remove);
    }

    IdentityIndex done() {
      return new IdentityIndex(bound.done());
    }
  }
}
