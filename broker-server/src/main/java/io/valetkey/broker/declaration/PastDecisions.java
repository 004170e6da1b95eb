package io.valetkey.broker.declaration;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.TokenWish;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.access.UseDecision;
import io.valetkey.broker.declaration.ReplayReport.PastUse;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Clock;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Asks the one authorise function once more about what was done, under one policy. Two things are
 * not in the audit trail and are assumed: a token that had everything of the grant would have
 * everything again, any other exactly its scopes; and a workload that was known as an agent brings
 * the claims that the agent needs now.
 */
final class PastDecisions {

  private final PolicySnapshot now;
  private final PolicySnapshot policy;
  private final Access access;

  /**
   * Decides under a policy.
   *
   * @param now the policy that decides for real
   * @param policy the policy to ask
   */
  PastDecisions(PolicySnapshot now, PolicySnapshot policy, Clock clock) {
    this.now = now;
    this.policy = policy;
    this.access = Access.rehearsal(policy, clock);
  }

  /** What would be said. */
  sealed interface Outcome {

    /** It is allowed. */
    record Allowed() implements Outcome {}

    /**
     * It is refused.
     *
     * @param reason the problem code
     */
    record Refused(String reason) implements Outcome {}

    /** It depends on what the audit trail does not hold of a request. */
    record Unknown() implements Outcome {}
  }

  Outcome outcome(PastUse use) {
    try {
      return switch (decide(use)) {
        case Decision.Granted granted when granted.approval() != null ->
            new Outcome.Refused(ProblemCode.APPROVAL_REQUIRED.code());
        case Decision.Granted granted -> new Outcome.Allowed();
        case Decision.Refused refused -> new Outcome.Refused(refused.code().code());
        case Decision.Undecidable no -> new Outcome.Refused(no.code().code());
        case UseDecision.Incomplete incomplete -> new Outcome.Unknown();
      };
    } catch (RefusedException e) {
      return new Outcome.Refused(e.code().code());
    }
  }

  private UseDecision decide(PastUse use) {
    return switch (use.action()) {
      case "gateway.request" -> decideRequest(use);
      case "lease.create" ->
          access.decideLease(
              holder(use, Set.copyOf(use.scopes())), use.destination(), use.scopes().getFirst());
      default ->
          access.decideToken(
              new TokenWish(
                  use.issuer(),
                  use.subject(),
                  claims(use),
                  use.destination(),
                  hadEverything(use) ? Set.of() : Set.copyOf(use.scopes())));
    };
  }

  /** Of a tunnel there is no path on record, and none is asked about. */
  private UseDecision decideRequest(PastUse use) {
    Holder holder = holder(use, scopes(use));
    String path = use.path();
    return path == null
        ? access.decideTunnel(holder, use.destination())
        : access.decideUse(
            new Use(
                holder,
                use.destination(),
                Objects.requireNonNull(use.method()),
                RequestPath.receive(path)));
  }

  private static Holder holder(PastUse use, Set<String> scopes) {
    String agent = Objects.requireNonNull(use.agent());
    return new Holder(
        agent, use.issuer(), use.subject(), null, Long.MAX_VALUE, use.destination(), scopes);
  }

  private Set<String> scopes(PastUse use) {
    Set<String> scopes = new HashSet<>(use.scopes());
    Grant grant = grant(policy, use);
    if (grant != null && hadEverything(use)) {
      scopes.addAll(grant.scopes());
    }
    return scopes;
  }

  private boolean hadEverything(PastUse use) {
    Grant grant = grant(now, use);
    return grant == null || use.scopes().containsAll(grant.scopes());
  }

  private static @Nullable Grant grant(PolicySnapshot snapshot, PastUse use) {
    Agent agent = use.agent() == null ? null : snapshot.agent(use.agent());
    return agent == null ? null : agent.grantOn(use.destination());
  }

  private Map<String, @Nullable Object> claims(PastUse use) {
    Agent agent = use.agent() == null ? null : now.agent(use.agent());
    List<Agent.Identity> identities = agent == null ? List.of() : agent.identities();
    return identities.stream()
        .filter(identity -> identity.fits(use.issuer(), use.subject()))
        .findFirst()
        .<Map<String, @Nullable Object>>map(identity -> new HashMap<>(identity.claims()))
        .orElse(Map.of());
  }
}
