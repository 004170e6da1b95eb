package io.valetkey.broker.admin;

import io.valetkey.broker.declaration.ReplayReport;
import io.valetkey.broker.declaration.ReplayReport.Finding;
import io.valetkey.broker.declaration.ReplayReport.PastUse;
import io.valetkey.broker.policy.Difference;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.policy.Plan.Step;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A plan as people read it: {@code +} comes, {@code ~} changes, {@code -} goes. */
final class PlanText {

  private static final int MOST_FINDINGS = 20;

  private final StringBuilder text = new StringBuilder();

  private PlanText() {}

  static String of(Plan plan, boolean applied, @Nullable ReplayReport replay) {
    PlanText writer = new PlanText();
    writer.write(plan, applied);
    if (replay != null) {
      writer.write(replay);
    }
    return writer.text.toString();
  }

  private void write(Plan plan, boolean applied) {
    line(
        "%s %s"
            .formatted(
                applied ? "Applied to what is managed by" : "Plan for what is managed by",
                plan.owner()));
    plan.changes().forEach(step -> write(step, plan.owner()));
    line(
        "%d to create, %d to change, %d to delete, %d unchanged"
            .formatted(
                plan.count(Action.CREATE),
                plan.count(Action.CHANGE),
                plan.count(Action.DELETE),
                plan.count(Action.UNCHANGED)));
    line("revision %s".formatted(plan.revision()));
  }

  private void write(Step step, String owner) {
    line(
        "%s %s %s%s%s"
            .formatted(
                switch (step.action()) {
                  case CREATE -> "+";
                  case CHANGE -> "~";
                  case DELETE -> "-";
                  case UNCHANGED -> " ";
                },
                step.id().kind().singular(),
                step.id().qualifiedName(),
                step.hasDrifted() ? " (changed by hand since)" : "",
                step.isAdopted(owner) ? " (adopted)" : ""));
    if (step.action() == Action.CHANGE) {
      for (Difference difference : step.differences()) {
        if (difference.before() != null) {
          line("    - %s: %s".formatted(difference.path(), difference.before()));
        }
        if (difference.after() != null) {
          line("    + %s: %s".formatted(difference.path(), difference.after()));
        }
      }
    }
  }

  private void write(ReplayReport replay) {
    line(
        "replayed %d records since %s%s"
            .formatted(
                replay.requests(),
                replay.since(),
                replay.cutShort() ? ", cut short: there is more than could be looked at" : ""));
    write("would be refused from now on", replay.newlyRefused());
    write("would be allowed from now on", replay.newlyAllowed());
    if (replay.undecided() > 0) {
      line(
          "  %d recorded uses depend on conditions that cannot be replayed"
              .formatted(replay.undecided()));
    }
    if (replay.unplaced() > 0) {
      line("  %d counted uses stand under no known path".formatted(replay.unplaced()));
    }
  }

  private void write(String title, List<Finding> findings) {
    line("  %s: %d".formatted(title, findings.size()));
    findings.stream().limit(MOST_FINDINGS).forEach(this::write);
    if (findings.size() > MOST_FINDINGS) {
      line("    and %d more".formatted(findings.size() - MOST_FINDINGS));
    }
  }

  private void write(Finding finding) {
    line(
        "    %s %s %s%s (%s), %d on record%s, last %s"
            .formatted(
                finding.use().agent() == null ? finding.use().subject() : finding.use().agent(),
                finding.use().destination(),
                finding.use().method() == null ? finding.use().action() : what(finding.use()),
                finding.use().scopes().isEmpty()
                    ? ""
                    : " " + String.join(" ", finding.use().scopes()),
                finding.reason(),
                finding.count(),
                finding.repeats() == 0 ? "" : " and its rule " + finding.repeats() + " times more",
                finding.lastUsed()));
  }

  /** Of a tunnel there is no path. */
  private static String what(PastUse use) {
    return use.path() == null ? String.valueOf(use.method()) : use.method() + " " + use.path();
  }

  private void line(String line) {
    // A subject may hold what a terminal would obey.
    text.append(line.replaceAll("\\p{Cntrl}", "?")).append('\n');
  }
}
