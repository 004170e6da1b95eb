package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.Question;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.Grant;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.ScopeSpec;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Instant;
import java.util.Comparator;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Answers "what can this agent reach?" and "why?" from the policy that decides right now. */
@RestController
@Hidden
class ReachController {

  private final PolicyView policy;
  private final Explanation explanation;
  private final StrictJson json = new StrictJson();

  ReachController(PolicyView policy, Explanation explanation) {
    this.policy = policy;
    this.explanation = explanation;
  }

  @PostMapping(
      value = AdminRoutes.BASE + "/decisions/explain",
      consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> explain(HttpServletRequest http) throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters();
    return JsonAnswers.ok(explanation.of(Question.read(request.body(json))));
  }

  @GetMapping(AdminRoutes.BASE + "/agents/{name}/reach")
  ResponseEntity<byte[]> reach(@PathVariable("name") String name, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    PolicySnapshot snapshot = policy.current();
    Agent agent = snapshot.agent(name);
    if (agent == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such agent.");
    }
    ObjectNode answer = JsonAnswers.object().put("agent", name).put("enabled", agent.enabled());
    ArrayNode destinations = answer.putArray("destinations");
    agent.grants().stream()
        .sorted(Comparator.comparing(Grant::destination))
        .forEach(grant -> describe(destinations.addObject(), grant, snapshot));
    return JsonAnswers.ok(answer);
  }

  private static void describe(ObjectNode node, Grant grant, PolicySnapshot snapshot) {
    Destination destination = snapshot.destination(grant.destination());
    node.put("destination", grant.destination());
    node.put("enabled", destination != null && destination.enabled());
    node.put("grant", grant.name());
    node.put(
        "expiresAt",
        grant.expiresAtSecond() == Long.MAX_VALUE
            ? null
            : Instant.ofEpochSecond(grant.expiresAtSecond()).toString());
    ArrayNode allow = node.putArray("allow");
    ArrayNode lease = node.putArray("lease");
    ArrayNode tunnel = node.putArray("tunnel");
    for (String scope : grant.scopes()) {
      ScopeSpec spec = destination == null ? null : destination.scopes().get(scope);
      if (destination == null || spec == null) {
        continue;
      }
      if (spec.lease() != null) {
        lease.addObject().put("scope", scope).put("role", spec.lease().role());
      } else if (spec.tunnel() != null) {
        tunnel.addObject().put("scope", scope).put("origin", destination.originWithPort());
      } else {
        for (ScopeSpec.Rule rule : spec.allow()) {
          ObjectNode entry = allow.addObject().put("scope", scope);
          rule.methods().forEach(entry.putArray("methods")::add);
          rule.paths().forEach(entry.putArray("paths")::add);
          entry.put("webSocket", Boolean.TRUE.equals(rule.webSocket()));
          entry.put("conditional", rule.conditions() != null);
          entry.put("approval", spec.approval() != null);
        }
      }
    }
  }
}
