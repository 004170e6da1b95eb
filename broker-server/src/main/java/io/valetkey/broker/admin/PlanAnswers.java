package io.valetkey.broker.admin;

import io.valetkey.broker.declaration.ReplayReport;
import io.valetkey.broker.declaration.ReplayReport.Finding;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.policy.Plan.Step;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** A plan as JSON. */
final class PlanAnswers {

  /** The findings that are named; all of them are counted. */
  static final int MOST_FINDINGS = 200;

  private PlanAnswers() {}

  static ObjectNode of(Plan plan, boolean applied, @Nullable ReplayReport replay) {
    ObjectNode answer = JsonAnswers.object();
    answer.put("managedBy", plan.owner());
    answer.put("applied", applied);
    answer.put("revision", plan.revision());
    ObjectNode summary = answer.putObject("summary");
    for (Action action : Action.values()) {
      summary.put(word(action), plan.count(action));
    }
    ArrayNode steps = answer.putArray("resources");
    plan.steps().forEach(step -> steps.add(of(step, plan.owner())));
    if (replay != null) {
      answer.set("replay", of(replay));
    }
    return answer;
  }

  static String word(Action action) {
    return action.name().toLowerCase(Locale.ROOT);
  }

  private static ObjectNode of(Step step, String owner) {
    ObjectNode node = JsonAnswers.object();
    node.put("action", word(step.action()));
    node.put("kind", step.id().kind().singular());
    node.put("name", step.id().qualifiedName());
    node.put("drifted", step.hasDrifted());
    node.put("adopted", step.isAdopted(owner));
    node.set("changes", JsonAnswers.list(step.differences()));
    return node;
  }

  private static ObjectNode of(ReplayReport replay) {
    ObjectNode node = JsonAnswers.object();
    node.put("days", replay.days());
    node.put("since", replay.since().toString());
    node.put("cutShort", replay.cutShort());
    node.put("records", replay.requests());
    node.put("distinct", replay.distinct());
    node.put("unplaced", replay.unplaced());
    node.put("undecided", replay.undecided());
    findings(node, "newlyRefused", replay.newlyRefused());
    findings(node, "newlyAllowed", replay.newlyAllowed());
    return node;
  }

  private static void findings(ObjectNode node, String name, List<Finding> findings) {
    ArrayNode list = node.putObject(name).put("total", findings.size()).putArray("items");
    findings.stream().limit(MOST_FINDINGS).map(PlanAnswers::of).forEach(list::add);
  }

  private static ObjectNode of(Finding finding) {
    ObjectNode node = JsonAnswers.object();
    node.put("action", finding.use().action());
    node.put("agent", finding.use().agent());
    node.put("issuer", finding.use().issuer());
    node.put("subject", finding.use().subject());
    node.put("destination", finding.use().destination());
    node.put("method", finding.use().method());
    node.put("path", finding.use().path());
    finding.use().scopes().forEach(node.putArray("scopes")::add);
    node.put("reason", finding.reason());
    node.put("count", finding.count());
    node.put("repeats", finding.repeats());
    node.put("lastUsed", finding.lastUsed().toString());
    return node;
  }
}
