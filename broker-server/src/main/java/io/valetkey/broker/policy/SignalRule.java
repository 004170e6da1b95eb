package io.valetkey.broker.policy;

import io.valetkey.broker.policy.SignalRuleSpec.Action;
import io.valetkey.broker.policy.SignalRuleSpec.Match;
import io.valetkey.broker.policy.SignalRuleSpec.Priority;
import io.valetkey.broker.policy.SignalRuleSpec.Source;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A rule for signals, as it is applied.
 *
 * @param name its name
 * @param source which kind of sender it is about
 * @param match what the signal must be
 * @param stops whether it stops the agent
 * @param stopFor how long; until it is lifted if null
 * @param agents the agents it is for; all if null
 * @param enabled whether it counts
 */
public record SignalRule(
    String name,
    Source source,
    Match match,
    boolean stops,
    @Nullable Duration stopFor,
    @Nullable Set<String> agents,
    boolean enabled) {

  /**
   * What rules look at. None of it is the text of an event.
   *
   * @param source who speaks
   * @param rule Falco's rule, Tetragon's policy; null for others
   * @param event the type of event, if it has one
   * @param priority how grave, if the sender says so
   */
  public record Facts(
      Source source, @Nullable String rule, @Nullable String event, @Nullable Priority priority) {}

  static SignalRule compile(String name, SignalRuleSpec spec) {
    Boolean enabled = spec.enabled();
    return new SignalRule(
        name,
        spec.source(),
        spec.match(),
        spec.action() == Action.STOP,
        spec.stopFor(),
        spec.agents() == null ? null : Set.copyOf(spec.agents()),
        enabled == null || enabled);
  }

  /** Whether it is for this agent and this signal. A field that the signal lacks never fits. */
  public boolean matches(String agent, Facts facts) {
    return enabled
        && source == facts.source()
        && (agents == null || agents.contains(agent))
        && fits(match.rule(), facts.rule())
        && fits(match.policy(), facts.rule())
        && fits(match.event(), facts.event())
        && (match.minPriority() == null
            || (facts.priority() != null && facts.priority().reaches(match.minPriority())));
  }

  private static boolean fits(@Nullable String wanted, @Nullable String there) {
    return wanted == null || wanted.equals(there);
  }
}
