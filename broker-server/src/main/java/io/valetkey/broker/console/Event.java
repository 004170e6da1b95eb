package io.valetkey.broker.console;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/**
 * One audit record as a page shows it. Everything in it may have been written by an agent; absent
 * texts are empty.
 */
record Event(
    String id,
    Instant time,
    String action,
    String outcome,
    String reason,
    String agent,
    String issuer,
    String subject,
    String destination,
    String scopes,
    String jti,
    JsonNode details) {

  private static final Set<String> SHOWN_APART =
      Set.of("method", "path", "steps", "detail", "before", "after");

  /** One step of the decision. */
  record Step(String name, String result, String took) {
    boolean passed() {
      return result.equals("ok") || result.equals("passed");
    }
  }

  /** A further fact of the record. */
  record Fact(String name, String value) {}

  static Event of(JsonNode record) {
    return new Event(
        text(record, "decision_id"),
        Instant.parse(text(record, "time")),
        text(record, "action"),
        text(record, "outcome"),
        text(record, "reason"),
        text(record, "agent"),
        text(record, "issuer"),
        text(record, "subject"),
        text(record, "destination"),
        text(record, "scopes"),
        text(record, "jti"),
        record.path("details"));
  }

  private static String text(JsonNode node, String field) {
    return node.path(field).asString("");
  }

  String method() {
    return text(details, "method");
  }

  String path() {
    return text(details, "path");
  }

  /** What it was about, in one line. */
  String what() {
    if (!path().isEmpty()) {
      return method() + " " + path();
    }
    if (!scopes.isEmpty()) {
      return scopes;
    }
    String actor = text(details, "actor");
    String name = text(details, "name");
    return (name.isEmpty() ? text(details, "rule") : name)
        + (actor.isEmpty() ? "" : " by " + actor);
  }

  /** What did not fit, in one sentence. */
  String detail() {
    return text(details, "detail");
  }

  boolean isRefusedAtTheGateway() {
    return action.equals("gateway.request") && outcome.equals("refused") && !agent.isEmpty();
  }

  List<Step> steps() {
    List<Step> steps = new ArrayList<>();
    for (JsonNode step : details.path("steps")) {
      steps.add(
          new Step(
              text(step, "step"), text(step, "result"), step.path("micros").asLong(0) + " µs"));
    }
    return steps;
  }

  List<Fact> facts() {
    List<Fact> facts = new ArrayList<>();
    details.properties().stream()
        .filter(field -> !SHOWN_APART.contains(field.getKey()))
        .forEach(field -> {
          JsonNode value = field.getValue();
          facts.add(
              new Fact(field.getKey(), value.isString() ? value.asString() : value.toString()));
        });
    return facts;
  }
}
