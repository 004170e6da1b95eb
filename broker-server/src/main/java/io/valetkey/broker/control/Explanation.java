package io.valetkey.broker.control;

import io.valetkey.broker.condition.Asker;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.condition.Verdict;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Attempt;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.Manner;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.StopView;
import java.time.Clock;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Goes the steps of the decision once more, and says what each found. It decides nothing, takes
 * nothing from any limit, and stops where the decision would.
 */
public final class Explanation {

  private final PolicyView policy;
  private final StopView stops;
  private final IdentityVerifier identities;
  private final Clock clock;

  /** Explains by these views. */
  public Explanation(PolicyView policy, StopView stops, IdentityVerifier identities, Clock clock) {
    this.policy = policy;
    this.stops = stops;
    this.identities = identities;
    this.clock = clock;
  }

  /** Answers a question; every answer has the same shape. */
  public ObjectNode of(Question question) {
    Trace trace = new Trace();
    try {
      trace.follow(question);
      return trace.answer(trace.incomplete ? "undecidable" : "granted");
    } catch (RefusedException e) {
      trace.note(trace.current, e.code().code(), e.detail());
      return trace.answer(e.code().status() == 503 ? "undecidable" : "refused");
    }
  }

  private record Identity(String agent, @Nullable String issuer, @Nullable String subject)
      implements Asker {}

  private record Asked(String method, RequestPath path, Asker asker, RequestFacts facts)
      implements Attempt {}

  private final class Trace {

    private final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    private final ArrayNode steps = answer.putArray("steps");
    private JsonNode rule = NullNode.getInstance();
    private JsonNode nearest = NullNode.getInstance();
    private String current = "policy";
    private boolean incomplete;
    private boolean approval;

    void follow(Question question) {
      PolicySnapshot snapshot = policy.current();
      note("policy", "passed", "As of change " + snapshot.version());
      current = "identity";
      SecretValue token = question.identityToken();
      VerifiedWorkload workload = token == null ? null : identities.verify(token.reveal());
      Agent agent = agent(snapshot, question.agent(), workload);
      Set<String> issuers = issuers(snapshot, agent, workload);
      checkStops(agent, question.destination(), issuers);
      Destination destination = destination(snapshot, question.destination());
      Grant grant = grant(agent, destination);
      Set<String> scopes = scopes(grant, question.scope());
      if (question.method() != null) {
        Asker asker =
            new Identity(
                agent.name(),
                workload == null ? null : workload.issuer(),
                workload == null ? null : workload.subject());
        match(destination, scopes, question.method(), asker, question);
      }
    }

    private Agent agent(
        PolicySnapshot snapshot, @Nullable String named, @Nullable VerifiedWorkload workload) {
      String name = named;
      if (workload != null) {
        note("identity", "passed", workload.workloadUri() + " by issuer " + workload.issuer());
        current = "agent";
        List<String> names =
            snapshot.agentsOf(workload.issuer(), workload.subject(), workload.claims());
        if (names.size() != 1) {
          throw new RefusedException(
              names.isEmpty() ? ProblemCode.AGENT_UNKNOWN : ProblemCode.AGENT_AMBIGUOUS,
              "Agents with this identity: " + names);
        }
        name = names.getFirst();
      }
      current = "agent";
      Agent agent = snapshot.agent(Objects.requireNonNull(name));
      if (agent == null) {
        throw new RefusedException(ProblemCode.AGENT_UNKNOWN, "There is no agent " + name);
      }
      if (!agent.enabled()) {
        throw new RefusedException(ProblemCode.AGENT_DISABLED, name + " is disabled");
      }
      note("agent", "passed", name + " is enabled");
      return agent;
    }

    /** One issuer that is enabled and not stopped is enough; without a token any may be meant. */
    private Set<String> issuers(
        PolicySnapshot snapshot, Agent agent, @Nullable VerifiedWorkload workload) {
      current = "issuer";
      Set<String> names = new TreeSet<>();
      if (workload == null) {
        agent.identities().forEach(identity -> names.add(identity.issuer()));
      } else {
        names.add(workload.issuer());
      }
      Set<String> enabled =
          names.stream()
              .filter(name -> isEnabled(snapshot.issuer(name)))
              .collect(Collectors.toCollection(TreeSet::new));
      if (enabled.isEmpty()) {
        throw new RefusedException(
            ProblemCode.ISSUER_UNKNOWN, "None of its issuers is enabled: " + names);
      }
      note("issuer", "passed", "Enabled: " + enabled);
      return enabled;
    }

    private static boolean isEnabled(@Nullable TrustedIssuer issuer) {
      return issuer != null && issuer.enabled();
    }

    private void checkStops(Agent agent, String destination, Set<String> issuers) {
      current = "stops";
      StopTarget stopped = null;
      for (String issuer : issuers) {
        stopped = stops.stopped(agent.name(), issuer, null, Long.MAX_VALUE);
        if (stopped == null) {
          stopped = stops.stoppedDestination(destination, Long.MAX_VALUE);
        }
        if (stopped == null) {
          note("stops", "passed", "No stop is in force");
          return;
        }
      }
      throw new RefusedException(
          ProblemCode.STOPPED,
          stopped == null
              ? "No issuer is left"
              : "In force: " + stopped.kind().word() + " " + stopped.value());
    }

    private Destination destination(PolicySnapshot snapshot, String name) {
      current = "destination";
      Destination destination = snapshot.destination(name);
      if (destination == null) {
        throw new RefusedException(
            ProblemCode.DESTINATION_UNKNOWN, "There is no destination " + name);
      }
      if (!destination.enabled()) {
        throw new RefusedException(ProblemCode.DESTINATION_DISABLED, name + " is disabled");
      }
      note("destination", "passed", name + " is enabled");
      return destination;
    }

    private Grant grant(Agent agent, Destination destination) {
      current = "grant";
      Grant grant = agent.grantOn(destination.name());
      if (grant == null) {
        throw new RefusedException(
            ProblemCode.NOT_GRANTED, agent.name() + " has no grant on " + destination.name());
      }
      if (grant.expiredAt(clock.instant())) {
        throw new RefusedException(ProblemCode.GRANT_EXPIRED, grant.name() + " has ended");
      }
      note("grant", "passed", grant.name() + " grants " + grant.scopes());
      return grant;
    }

    private Set<String> scopes(Grant grant, @Nullable String wanted) {
      current = "scope";
      if (wanted != null && !grant.scopes().contains(wanted)) {
        throw new RefusedException(
            ProblemCode.INVALID_SCOPE, grant.name() + " does not grant " + wanted);
      }
      Set<String> scopes = wanted == null ? Set.copyOf(grant.scopes()) : Set.of(wanted);
      note("scope", "passed", "Considered: " + new TreeSet<>(scopes));
      return scopes;
    }

    private void match(
        Destination destination,
        Set<String> scopes,
        String method,
        Asker asker,
        Question question) {
      if (destination.kind().manner() != Manner.BROKERED) {
        throw new RefusedException(
            ProblemCode.DESTINATION_UNKNOWN,
            destination.name()
                + " is "
                + destination.kind().manner().word()
                + ": it takes no requests. Ask without a method whether it may be used");
      }
      current = "path";
      RequestPath path = destination.rules().read(question.path());
      note("path", "passed", "It has one reading");
      current = "rule";
      ScopeRules.Answer found =
          destination
              .rules()
              .match(new Asked(method, path, asker, question.facts()), scopes::contains);
      switch (found) {
        case null -> {
          describeNearest(destination.rules().nearest(method, path, scopes::contains), method);
          throw new RefusedException(
              ProblemCode.INSUFFICIENT_SCOPE, "No rule allows " + method + " on this path");
        }
        case ScopeRules.Match match -> {
          name(match);
          note("rule", "passed", match.id());
          needsApproval(match);
        }
        case ScopeRules.Unmet(ScopeRules.Match asked, Verdict.Unmet unmet) -> {
          name(asked);
          throw new RefusedException(unmet.reason(), asked.id() + ": " + unmet.detail());
        }
        case ScopeRules.Missing missing -> {
          name(missing.rule());
          incomplete = true;
          note(
              "rule",
              "undecidable",
              missing.rule().id()
                  + " depends on the "
                  + missing.part().word()
                  + " of the request, which the question does not name");
        }
      }
    }

    private void needsApproval(ScopeRules.Match match) {
      if (match.approval() != null) {
        approval = true;
        note(
            "approval",
            "needed",
            "By scope "
                + match.scope()
                + " somebody has to approve each such request, within "
                + match.approval().validFor());
      }
    }

    private void name(ScopeRules.Match match) {
      rule =
          JsonNodeFactory.instance
              .objectNode()
              .put("scope", match.scope())
              .put("pattern", match.pattern());
    }

    private void describeNearest(ScopeRules.@Nullable Nearest near, String method) {
      if (near != null) {
        ObjectNode node = JsonNodeFactory.instance.objectNode();
        node.put("scope", near.rule().scope()).put("pattern", near.rule().pattern());
        near.methods().forEach(node.putArray("methods")::add);
        node.put("granted", near.scopeAllowed());
        nearest = node.put("change", change(near, method));
      }
    }

    private static String change(ScopeRules.Nearest near, String method) {
      if (near.closeness() == ScopeRules.Closeness.OTHER_METHOD
          && method.equals(ScopeRules.WEB_SOCKET)) {
        return "Set webSocket on the rule, if what its frames say may go unread.";
      }
      return switch (near.closeness()) {
        case OTHER_SCOPE -> "Grant the scope " + near.rule().scope() + ", or ask for it.";
        case OTHER_METHOD ->
            "Add the method to the rule; it allows " + String.join(", ", near.methods()) + ".";
        case SAME_PREFIX -> "Add a path to the scope; this one only begins the same way.";
      };
    }

    private void note(String step, String result, String detail) {
      steps.addObject().put("step", step).put("result", result).put("detail", detail);
    }

    private ObjectNode answer(String outcome) {
      ObjectNode ordered = JsonNodeFactory.instance.objectNode().put("outcome", outcome);
      ordered.setAll(answer);
      ordered.put("approval", approval);
      ordered.set("rule", rule);
      ordered.set("nearest", nearest);
      return ordered;
    }
  }
}
