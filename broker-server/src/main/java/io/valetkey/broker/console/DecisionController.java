package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.Explanation;
import io.valetkey.broker.control.Question;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** One decision: what was recorded, what would be decided now, and what would change it. */
@RestController
@Hidden
class DecisionController {

  private final AuditTrailQuery trail;
  private final Explanation explanation;
  private final Pages pages;

  DecisionController(AuditTrailQuery trail, Explanation explanation, Pages pages) {
    this.trail = trail;
    this.explanation = explanation;
    this.pages = pages;
  }

  /**
   * What the same request would get now.
   *
   * @param change what would let it pass; empty if nothing near would
   * @param scope the scope that could be changed for it; empty if there is none
   */
  record Now(String outcome, List<Step> steps, String nearest, String change, String scope) {

    record Step(String name, String result, String detail) {
      boolean passed() {
        return result.equals("passed");
      }
    }
  }

  @GetMapping(ConsoleRoutes.DECISIONS + "/{id}")
  ResponseEntity<byte[]> decision(@PathVariable("id") String id, HttpServletRequest request) {
    if (!id.matches("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")) {
      throw notFound();
    }
    Event event =
        trail
            .decision(UUID.fromString(id))
            .map(Event::of)
            .orElseThrow(DecisionController::notFound);
    List<Now> now = event.isRefusedAtTheGateway() ? now(event) : List.of();
    return pages.page(
        "decision.jte",
        pages.frame("Decision", "live", Session.of(request)),
        Map.of("event", event, "now", now));
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no record of such a decision.");
  }

  /** Empty where the record does not hold a question that could be asked again. */
  private List<Now> now(Event event) {
    ObjectNode question = JsonNodeFactory.instance.objectNode();
    question.put("agent", event.agent()).put("destination", event.destination());
    question.put("method", event.method()).put("path", event.path());
    try {
      return List.of(now(event, explanation.of(Question.read(question))));
    } catch (RefusedException e) {
      return List.of();
    }
  }

  private static Now now(Event event, JsonNode answer) {
    List<Now.Step> steps = new ArrayList<>();
    for (JsonNode step : answer.path("steps")) {
      steps.add(
          new Now.Step(
              step.path("step").asString(""),
              step.path("result").asString(""),
              step.path("detail").asString("")));
    }
    JsonNode near = answer.path("nearest");
    String nearest =
        near.isObject()
            ? near.path("scope").asString("") + ": " + near.path("pattern").asString("")
            : "";
    String granted = event.scopes().split(" ", -1)[0];
    String scope =
        near.path("granted").asBoolean(false) ? near.path("scope").asString("") : granted;
    // A rule whose conditions are not met is there, and one without them would undo it.
    boolean aRuleIsMissing =
        !steps.isEmpty()
            && steps.getLast().name().equals("rule")
            && steps.getLast().result().equals(ProblemCode.INSUFFICIENT_SCOPE.code());
    return new Now(
        answer.path("outcome").asString(""),
        steps,
        nearest,
        near.path("change").asString(""),
        aRuleIsMissing ? scope : "");
  }

  /** Where the scope is changed so that the same request would pass. */
  static String changeAddress(Event event, String scope) {
    return ConsoleRoutes.DESTINATIONS
        + "/"
        + event.destination()
        + "/scopes/"
        + scope
        + "?method="
        + URLEncoder.encode(event.method(), StandardCharsets.UTF_8)
        + "&path="
        + URLEncoder.encode(event.path(), StandardCharsets.UTF_8);
  }
}
