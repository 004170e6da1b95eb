package io.valetkey.broker.access;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.Verdict;
import io.valetkey.broker.limit.GrantBudgets;
import io.valetkey.broker.limit.GrantMeter;
import io.valetkey.broker.limit.GrantRates;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.policy.ScopeSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.stop.Stops;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The one authorise function. Every way in asks it, with the same steps in the same order: agent,
 * stops, destination, grant, scopes, and then what is particular to issuing or to using. Absence
 * means no.
 */
public final class Access {

  /** The life of an access token when nothing that applies to it names one. */
  public static final Duration DEFAULT_TTL = Duration.ofMinutes(5);

  /** No access token lives longer, whatever the policy says. */
  public static final Duration CEILING = Duration.ofHours(1);

  /** Longer than anything that is handed out may live. */
  private static final Duration FOR_EVER = Duration.ofDays(3650);

  private final Supplier<PolicySnapshot> policy;
  private final Stops stops;
  private final RateLimits limits;
  private final @Nullable GrantRates rates;
  private final @Nullable GrantBudgets budgets;
  private final Clock clock;

  /** Decides on these views. */
  public Access(
      PolicyView policy,
      StopView stops,
      RateLimits limits,
      GrantRates rates,
      GrantBudgets budgets,
      Clock clock) {
    this(policy::current, stops, limits, rates, budgets, clock);
  }

  private Access(
      Supplier<PolicySnapshot> policy,
      Stops stops,
      RateLimits limits,
      @Nullable GrantRates rates,
      @Nullable GrantBudgets budgets,
      Clock clock) {
    this.policy = policy;
    this.stops = stops;
    this.limits = limits;
    this.rates = rates;
    this.budgets = budgets;
    this.clock = clock;
  }

  /**
   * What this policy alone would say, if nothing were stopped and no limit used up. To ask what a
   * change would mean; never to serve anything.
   */
  public static Access rehearsal(PolicySnapshot policy, Clock clock) {
    return new Access(() -> policy, NothingStopped.INSTANCE, RateLimits.none(), null, null, clock);
  }

  /** What issuing and using have in common: who, through which issuer, with which token. */
  private record Claimant(Agent agent, String issuer, @Nullable String jti, long tokenEpoch) {}

  /** Whether a token may be issued to this workload. Never throws for a refusal. */
  public Decision decideToken(TokenWish wish) {
    try {
      long epoch = stops.epoch();
      PolicySnapshot snapshot = policy.get();
      Agent agent = agentOf(snapshot, wish.issuer(), wish.subject(), wish);
      String name = wish.destination() == null ? onlyDestination(agent) : wish.destination();
      var claimant = new Claimant(agent, wish.issuer(), null, Long.MAX_VALUE);
      requireEnabledAndNotStopped(claimant);
      if (!limits.take("token:" + agent.name(), limits.tokensPerMinute())) {
        throw refused(ProblemCode.RATE_LIMITED, "The agent asked for too many tokens");
      }
      Destination destination = destination(snapshot, name);
      Grant grant = grant(agent, name);
      requireDestinationNotStopped(claimant, name);
      List<String> scopes = scopes(grant, wish.scopes());
      return new Decision.Granted(
          agent.name(),
          destination,
          scopes,
          ttl(agent, destination, grant, scopes),
          null,
          epoch,
          GrantMeter.NONE);
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  /**
   * Whether this workload may use what is at an origin without asking for a token first: what
   * {@link #decideToken} says about its one destination there and all scopes. Never throws for a
   * refusal.
   *
   * @param issuer the name of the issuer that vouches for it
   * @param subject its subject there; it has no claims
   * @param origin scheme, host and port, the port always written
   */
  public Decision decideAtOrigin(String issuer, String subject, String origin) {
    try {
      String name = destinationAt(issuer, subject, origin);
      return decideToken(new TokenWish(issuer, subject, Map.of(), name, Set.of()));
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  /** The origin itself, which is no destination's name, unless exactly one is granted there. */
  private String destinationAt(String issuer, String subject, String origin) {
    PolicySnapshot snapshot = policy.get();
    List<String> names =
        snapshot.agentsOf(issuer, subject, Map.of()).stream()
            .map(snapshot::agent)
            .filter(Objects::nonNull)
            .flatMap(agent -> agent.grants().stream())
            .map(Grant::destination)
            .filter(name -> mannerAt(snapshot, name, origin) != null)
            .distinct()
            .toList();
    return names.size() == 1 ? names.getFirst() : origin;
  }

  /**
   * What decisions were made on. As long as it is the same, only time and limits can change them.
   *
   * @param epoch the stop epoch
   * @param policy the number of the last change of the policy
   */
  public record Basis(long epoch, long policy) {}

  /**
   * What decisions are made on now.
   *
   * @throws RefusedException if a view is too old to tell
   */
  public Basis basis() {
    return new Basis(stops.epoch(), policy.get().version());
  }

  /**
   * Whether this request may be carried out. Never throws for a refusal. Nothing is taken from any
   * limit by an answer that more of the request is needed. A decision that grants may name an
   * approval that has to be there besides.
   */
  public UseDecision decideUse(Use use) {
    try {
      long epoch = stops.epoch();
      Held held = held(use.holder(), use.destination());
      require(held.destination(), Manner.BROKERED, ProblemCode.DESTINATION_UNKNOWN);
      return switch (match(held.destination(), held.grant(), use)) {
        case null ->
            throw refused(
                ProblemCode.INSUFFICIENT_SCOPE,
                "No rule of the token's scopes allows this method on this path");
        case ScopeRules.Match match -> used(held, match, use, epoch);
        case ScopeRules.Unmet(ScopeRules.Match rule, Verdict.Unmet unmet) ->
            throw refused(unmet.reason(), "By rule " + rule.id() + ": " + unmet.detail());
        case ScopeRules.Missing(ScopeRules.Match rule, Part part, int mostBytes) ->
            new UseDecision.Incomplete(held.destination(), rule.id(), part, mostBytes);
      };
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  private static void require(Destination destination, Manner wanted, ProblemCode otherwise) {
    Manner manner = destination.kind().manner();
    if (manner != wanted) {
      throw refused(otherwise, "The destination is " + manner.word() + ", not " + wanted.word());
    }
  }

  private Decision used(Held held, ScopeRules.Match match, Use use, long epoch) {
    return new Decision.Granted(
        held.agent().name(),
        held.destination().limitedTo(match.maxBody()),
        scopes(held, use.holder()),
        Duration.ZERO,
        match.id(),
        epoch,
        begin(held.grant()),
        match.approval() == null
            ? null
            : new NeededApproval(match.scope(), held.grant().name(), match.approval()));
  }

  /** What both the token and the grant say, in the order of the grant. */
  private static List<String> scopes(Held held, Holder holder) {
    return held.grant().scopes().stream().filter(holder.scopes()::contains).toList();
  }

  /**
   * Whether this holder may open a tunnel whose TLS ends here, and in which each request is a use
   * of its own and decided for itself. Never throws for a refusal; a decision that grants has no
   * rule.
   */
  public Decision decideInterception(Holder holder, String wanted) {
    try {
      long epoch = stops.epoch();
      Held held = held(holder, wanted);
      require(held.destination(), Manner.BROKERED, ProblemCode.DESTINATION_UNKNOWN);
      return new Decision.Granted(
          held.agent().name(),
          held.destination(),
          scopes(held, holder),
          Duration.ZERO,
          null,
          epoch,
          GrantMeter.NONE);
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  /**
   * Whether this holder may open a tunnel that nobody looks into: to its limits it is one request,
   * for as long as it is open. Never throws for a refusal. The rule of a decision that grants is
   * the scope that says so.
   */
  public Decision decideTunnel(Holder holder, String wanted) {
    try {
      long epoch = stops.epoch();
      Held held = held(holder, wanted);
      require(held.destination(), Manner.TUNNELLED, ProblemCode.DESTINATION_UNKNOWN);
      List<String> scopes = scopes(held, holder);
      String rule =
          scopes.stream()
              .filter(scope -> isTunnel(held.destination(), scope))
              .findFirst()
              .orElseThrow(() ->
                  refused(
                      ProblemCode.INSUFFICIENT_SCOPE,
                      "No scope of the token and the grant allows a tunnel"));
      return new Decision.Granted(
          held.agent().name(),
          held.destination(),
          scopes,
          Duration.ZERO,
          rule,
          epoch,
          begin(held.grant()));
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  private static boolean isTunnel(Destination destination, String scope) {
    ScopeSpec spec = destination.scopes().get(scope);
    return spec != null && Boolean.TRUE.equals(spec.tunnel());
  }

  /**
   * Whether a leased credential may be handed to this holder, or its life made longer. Never throws
   * for a refusal. A decision that grants has exactly one scope, and as its life what is left of
   * the grant.
   *
   * @param destination the destination asked for
   * @param scope the scope asked for; null for the only one there is
   */
  public Decision decideLease(Holder holder, String destination, @Nullable String scope) {
    try {
      long epoch = stops.epoch();
      Held held = held(holder, destination);
      require(held.destination(), Manner.LEASED, ProblemCode.INVALID_TARGET);
      String leased = leasedScope(held, holder.scopes(), scope);
      takeRequest(held.grant());
      if (!limits.take("lease:" + held.agent().name(), limits.tokensPerMinute())) {
        throw refused(ProblemCode.RATE_LIMITED, "The agent asked for too many leases");
      }
      return leased(held, leased, epoch);
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  private static String leasedScope(Held held, Set<String> inToken, @Nullable String wanted) {
    List<String> possible =
        held.grant().scopes().stream()
            .filter(scope -> inToken.contains(scope) && isLeased(held.destination(), scope))
            .filter(scope -> wanted == null || wanted.equals(scope))
            .toList();
    if (possible.isEmpty()) {
      throw refused(
          ProblemCode.INSUFFICIENT_SCOPE, "No scope of the token and the grant leases this");
    }
    if (possible.size() > 1) {
      throw refused(ProblemCode.INVALID_SCOPE, "Several scopes could be meant: name one");
    }
    return possible.getFirst();
  }

  private static boolean isLeased(Destination destination, String scope) {
    ScopeSpec spec = destination.scopes().get(scope);
    return spec != null && spec.lease() != null;
  }

  /** What the holder of a token has on a destination, once every step they share was passed. */
  private record Held(Agent agent, Destination destination, Grant grant) {}

  private Held held(Holder holder, String wanted) {
    PolicySnapshot snapshot = policy.get();
    Agent agent = snapshot.agent(holder.agent());
    if (agent == null || !agent.hasIdentity(holder.issuer(), holder.subject())) {
      throw refused(
          ProblemCode.AGENT_UNKNOWN,
          "The agent, or its identity in the token, is not there any more");
    }
    var claimant = new Claimant(agent, holder.issuer(), holder.jti(), holder.tokenEpoch());
    requireEnabledAndNotStopped(claimant);
    requireDestinationNotStopped(claimant, holder.tokenDestination());
    requireIssuerEnabled(snapshot, holder.issuer());
    if (!holder.tokenDestination().equals(wanted)) {
      throw refused(ProblemCode.DESTINATION_UNKNOWN, "The token is for another destination");
    }
    return new Held(agent, destination(snapshot, wanted), grant(agent, wanted));
  }

  /** The last step of a use: what it takes has to be given back. */
  private GrantMeter begin(Grant grant) {
    if (budgets == null || grant.caps().isNone()) {
      takeRequest(grant);
      return GrantMeter.NONE;
    }
    String name = grant.name();
    budgets.requireLeft(name, grant.caps());
    takeRequest(grant);
    return budgets.begin(name, grant.caps());
  }

  private void takeRequest(Grant grant) {
    // None in a rehearsal, which takes nothing.
    if (grant.requestsPerMinute() == 0 || rates == null) {
      return;
    }
    switch (rates.take(grant.name(), grant.requestsPerMinute())) {
      case TAKEN -> {}
      case USED_UP ->
          throw refused(
              ProblemCode.RATE_LIMITED,
              "limits.requestsPerMinute of grant " + grant.name() + " is used up");
      case UNKNOWN ->
          throw refused(
              ProblemCode.LIMITS_UNAVAILABLE,
              "What is left of limits.requestsPerMinute of grant " + grant.name() + " is unknown");
    }
  }

  /**
   * Whether what was leased may be kept: everything that {@link #decideLease} asks, limits apart.
   * Never throws for a refusal. An undecidable answer is no reason to end anything.
   *
   * @param holder who got it, under the epoch in which it became the holder's
   * @param scope the scope under which it was leased
   */
  public Decision decideKept(Holder holder, String scope) {
    try {
      long epoch = stops.epoch();
      Held held = held(holder, holder.tokenDestination());
      if (!held.grant().scopes().contains(scope) || !isLeased(held.destination(), scope)) {
        throw refused(ProblemCode.INSUFFICIENT_SCOPE, "The grant does not lease this any more");
      }
      return leased(held, scope, epoch);
    } catch (RefusedException e) {
      return decided(e);
    }
  }

  private Decision leased(Held held, String scope, long epoch) {
    return new Decision.Granted(
        held.agent().name(),
        held.destination(),
        List.of(scope),
        untilItsEnd(held.grant()),
        scope,
        epoch,
        GrantMeter.NONE);
  }

  /**
   * Whether what was allowed when an exchange began still stands: a stop, a disabled agent or
   * destination, and a withdrawn grant end it; the token's own end does not. What is known to be
   * stopped stays stopped however old the view is. Otherwise a view that cannot answer ends nothing
   * here: {@link #isCurrent} does that, for all exchanges at once.
   */
  public boolean stillStands(
      String agentName, String issuer, String jti, long tokenEpoch, String destination) {
    if (stops.isKnownToBeStopped(agentName, issuer, jti, tokenEpoch, destination)) {
      return false;
    }
    try {
      PolicySnapshot snapshot = policy.get();
      Agent agent = snapshot.agent(agentName);
      if (agent == null) {
        return false;
      }
      var claimant = new Claimant(agent, issuer, jti, tokenEpoch);
      requireEnabledAndNotStopped(claimant);
      requireDestinationNotStopped(claimant, destination);
      requireIssuerEnabled(snapshot, issuer);
      destination(snapshot, destination);
      grant(agent, destination);
      return true;
    } catch (RefusedException e) {
      return e.code().status() == 503;
    }
  }

  /**
   * How the destination is used, if this is its origin in the policy as it is now. Decides nothing.
   *
   * @param origin scheme, host and port, the port always written
   * @return null if it is not the origin, or nothing of this gateway leads there
   * @throws RefusedException if the view of the policy is too old to tell
   */
  public @Nullable Manner atOrigin(String name, String origin) {
    return mannerAt(policy.get(), name, origin);
  }

  private static @Nullable Manner mannerAt(PolicySnapshot snapshot, String name, String origin) {
    Destination destination = snapshot.destination(name);
    if (destination == null || !destination.originWithPort().equals(origin)) {
      return null;
    }
    return switch (destination.kind().manner()) {
      case BROKERED -> Manner.BROKERED;
      case TUNNELLED -> Manner.TUNNELLED;
      case LEASED -> null;
    };
  }

  /** Whether this replica would know by now if something had been stopped. Never blocks. */
  public boolean isCurrent() {
    return stops.isFresh();
  }

  private static Agent agentOf(
      PolicySnapshot snapshot, String issuer, String subject, TokenWish wish) {
    requireIssuerEnabled(snapshot, issuer);
    List<String> names = snapshot.agentsOf(issuer, subject, wish.claims());
    if (names.isEmpty()) {
      throw refused(ProblemCode.AGENT_UNKNOWN, "No agent has this identity");
    }
    if (names.size() > 1) {
      throw refused(ProblemCode.AGENT_AMBIGUOUS, "Several agents have this identity: " + names);
    }
    return Objects.requireNonNull(snapshot.agent(names.getFirst()));
  }

  private static void requireIssuerEnabled(PolicySnapshot snapshot, String name) {
    var issuer = snapshot.issuer(name);
    if (issuer == null || !issuer.enabled()) {
      throw refused(ProblemCode.ISSUER_UNKNOWN, "The issuer is not registered or disabled");
    }
  }

  private static String onlyDestination(Agent agent) {
    if (agent.grants().size() != 1) {
      throw refused(
          ProblemCode.INVALID_TARGET,
          "No destination was named and the agent has " + agent.grants().size());
    }
    return agent.grants().getFirst().destination();
  }

  private void requireEnabledAndNotStopped(Claimant claimant) {
    if (!claimant.agent().enabled()) {
      throw refused(ProblemCode.AGENT_DISABLED, "The agent is disabled");
    }
    refuseIf(
        stops.stopped(
            claimant.agent().name(), claimant.issuer(), claimant.jti(), claimant.tokenEpoch()));
  }

  /** After the grant where a token is asked for: a stop must not tell strangers what exists. */
  private void requireDestinationNotStopped(Claimant claimant, String destination) {
    refuseIf(stops.stoppedDestination(destination, claimant.tokenEpoch()));
  }

  private static void refuseIf(@Nullable StopTarget stopped) {
    if (stopped != null) {
      throw refused(
          ProblemCode.STOPPED, "Stopped: " + stopped.kind().word() + " " + stopped.value());
    }
  }

  private static Destination destination(PolicySnapshot snapshot, String name) {
    Destination destination = snapshot.destination(name);
    if (destination == null) {
      throw refused(ProblemCode.DESTINATION_UNKNOWN, "There is no destination of this name");
    }
    if (!destination.enabled()) {
      throw refused(ProblemCode.DESTINATION_DISABLED, "The destination is disabled");
    }
    return destination;
  }

  private Grant grant(Agent agent, String destination) {
    Grant grant = agent.grantOn(destination);
    if (grant == null) {
      throw refused(ProblemCode.NOT_GRANTED, "The agent has no grant on the destination");
    }
    if (grant.expiredAt(clock.instant())) {
      throw refused(ProblemCode.GRANT_EXPIRED, "Grant " + grant.name() + " has ended");
    }
    return grant;
  }

  private static List<String> scopes(Grant grant, Set<String> wanted) {
    for (String scope : wanted) {
      if (!grant.scopes().contains(scope)) {
        throw refused(ProblemCode.INVALID_SCOPE, "Not a scope of grant " + grant.name());
      }
    }
    return wanted.isEmpty()
        ? grant.scopes()
        : grant.scopes().stream().filter(wanted::contains).toList();
  }

  private static ScopeRules.@Nullable Answer match(Destination destination, Grant grant, Use use) {
    return destination
        .rules()
        .match(
            use, scope -> use.holder().scopes().contains(scope) && grant.scopes().contains(scope));
  }

  /** The least of what scopes, agent and grant name, or the default; never beyond the ceiling. */
  private Duration ttl(Agent agent, Destination destination, Grant grant, List<String> scopes) {
    Duration least = agent.maxTokenTtl();
    for (String name : scopes) {
      ScopeSpec scope = destination.scopes().get(name);
      least = least(least, scope == null ? null : scope.maxTokenTtl());
    }
    Duration ttl = least(CEILING, least == null ? DEFAULT_TTL : least);
    return Objects.requireNonNull(least(ttl, untilItsEnd(grant)));
  }

  /** What is left of a grant; {@link #FOR_EVER} if it does not end. */
  private Duration untilItsEnd(Grant grant) {
    return grant.expiresAtSecond() == Long.MAX_VALUE
        ? FOR_EVER
        : Duration.ofSeconds(grant.expiresAtSecond() - clock.instant().getEpochSecond());
  }

  private static @Nullable Duration least(@Nullable Duration a, @Nullable Duration b) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    return a.compareTo(b) <= 0 ? a : b;
  }

  private static Decision decided(RefusedException e) {
    return e.code().status() == 503
        ? new Decision.Undecidable(e.code(), e.detail())
        : new Decision.Refused(e.code(), e.detail(), e.retryAfterSeconds());
  }

  private static RefusedException refused(ProblemCode code, String detail) {
    return new RefusedException(code, detail);
  }
}
