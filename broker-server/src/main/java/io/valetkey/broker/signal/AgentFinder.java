package io.valetkey.broker.signal;

import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.signal.PodsSeen.Sighting;
import io.valetkey.broker.signal.Signal.About;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Says which agent an event is about: by the account where the event names it, else by the pod as
 * it was seen when it got a token. Only within the issuers that the sender may speak about, and
 * only if there is exactly one answer.
 */
final class AgentFinder {

  private final PodsSeen pods;

  AgentFinder(PodsSeen pods) {
    this.pods = pods;
  }

  /** The agent's name, or null if there is none, or more than one. */
  @Nullable String find(PolicySnapshot policy, Sender sender, About about) {
    return switch (about) {
      case About.Pod pod when sender.cluster() != null -> byPod(policy, sender.cluster(), pod);
      case About.Pod pod -> null;
      case About.Account account -> byAccount(policy, sender, account);
      case About.Nobody nobody -> null;
    };
  }

  private @Nullable String byPod(PolicySnapshot policy, String cluster, About.Pod pod) {
    Set<String> agents = new TreeSet<>();
    for (Sighting sighting : pods.of(cluster, pod)) {
      String agent = agentNow(policy, sighting);
      if (agent != null) {
        agents.add(agent);
      }
    }
    return agents.size() == 1 ? agents.iterator().next() : null;
  }

  /** The identity may have been given to another agent since. */
  private static @Nullable String agentNow(PolicySnapshot policy, Sighting sighting) {
    Agent then = policy.agent(sighting.agent());
    if (then != null && then.hasIdentity(sighting.issuer(), sighting.subject())) {
      return then.name();
    }
    return only(policy.agentsOf(sighting.issuer(), sighting.subject(), Map.of()));
  }

  /** An identity that also needs claims is not found: an account alone does not say which it is. */
  private static @Nullable String byAccount(
      PolicySnapshot policy, Sender sender, About.Account account) {
    String issuer = sender.cluster();
    if (account.iss() != null) {
      TrustedIssuer named = policy.byIssuer(account.iss());
      issuer = named == null ? null : named.name();
    }
    return issuer == null || !sender.issuers().contains(issuer)
        ? null
        : only(policy.agentsOf(issuer, account.subject(), Map.of()));
  }

  private static @Nullable String only(List<String> agents) {
    return agents.size() == 1 ? agents.getFirst() : null;
  }
}
