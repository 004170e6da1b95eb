package io.valetkey.broker.policy;

import io.valetkey.broker.policy.SignalRuleSpec.Action;
import io.valetkey.broker.policy.SignalRuleSpec.Match;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What a rule for signals must be as far as it can be told from itself alone. */
final class SignalRuleChecks {

  private static final Duration SHORTEST = Duration.ofMinutes(1);
  private static final Duration LONGEST = Duration.ofDays(30);
  private static final int MOST_AGENTS = 100;
  private static final int LONGEST_TEXT = 255;

  private SignalRuleChecks() {}

  static void check(SignalRuleSpec rule, Errors errors) {
    Match match = rule.match();
    onlyFor(rule, match.rule(), "rule", Set.of(Source.FALCO), errors);
    onlyFor(rule, match.minPriority(), "minPriority", Set.of(Source.FALCO), errors);
    onlyFor(rule, match.policy(), "policy", Set.of(Source.TETRAGON), errors);
    onlyFor(rule, match.event(), "event", Set.of(Source.TETRAGON, Source.SSF), errors);
    checkText("/match/rule", match.rule(), errors);
    checkText("/match/policy", match.policy(), errors);
    checkText("/match/event", match.event(), errors);
    if (rule.action() == Action.STOP && match.isEmpty()) {
      errors.invalid("/match", "must say something where the action is stop");
    }
    checkDuration(rule, errors);
    checkAgents(rule.agents(), errors);
  }

  /** A field that the source never has would make a rule that never fits and looks as if it did. */
  private static void onlyFor(
      SignalRuleSpec rule, @Nullable Object value, String field, Set<Source> may, Errors errors) {
    if (value != null && !may.contains(rule.source())) {
      errors.invalid("/match/" + field, "is nothing that signals of this source have");
    }
  }

  private static void checkText(String pointer, @Nullable String text, Errors errors) {
    if (text != null
        && (text.isBlank()
            || text.length() > LONGEST_TEXT
            || text.chars().anyMatch(Character::isISOControl))) {
      errors.invalid(pointer, "must be 1 to " + LONGEST_TEXT + " printable characters");
    }
  }

  private static void checkDuration(SignalRuleSpec rule, Errors errors) {
    Duration stopFor = rule.stopFor();
    if (stopFor == null) {
      return;
    }
    if (rule.action() != Action.STOP) {
      errors.invalid("/stopFor", "goes with the action stop only");
    } else if (stopFor.compareTo(SHORTEST) < 0 || stopFor.compareTo(LONGEST) > 0) {
      errors.invalid("/stopFor", "must be from 1m to 30d; leave it out for a stop without an end");
    }
  }

  private static void checkAgents(@Nullable List<String> agents, Errors errors) {
    if (agents == null) {
      return;
    }
    if (agents.isEmpty() || agents.size() > MOST_AGENTS) {
      errors.invalid("/agents", "must have 1 to " + MOST_AGENTS + " entries, or be left out");
      return;
    }
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < agents.size(); i++) {
      if (!ResourceId.isName(agents.get(i))) {
        errors.invalid("/agents/" + i, "must be the name of a resource");
      } else if (!seen.add(agents.get(i))) {
        errors.invalid("/agents/" + i, "is listed twice");
      }
    }
  }
}
