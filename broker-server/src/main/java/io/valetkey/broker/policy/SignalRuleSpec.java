package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a signal about an agent leads to.
 *
 * @param source which kind of sender it is about
 * @param match what the signal must be; every field that is there must fit
 * @param action whether the signal only stands in the agent's timeline or stops the agent
 * @param stopFor how long the stop lasts; until it is lifted if absent
 * @param agents the agents it is for; all of them if absent
 * @param enabled whether it counts; true if absent
 */
public record SignalRuleSpec(
    Source source,
    Match match,
    Action action,
    @Nullable Duration stopFor,
    @Nullable List<String> agents,
    @Nullable Boolean enabled)
    implements ResourceSpec {

  /** Who speaks. */
  public enum Source {
    FALCO,
    TETRAGON,
    /** OpenID Shared Signals. */
    SSF
  }

  /** What follows. */
  public enum Action {
    MARK,
    STOP
  }

  /** How grave a sensor says it is, gravest first (Falco's own order). */
  public enum Priority {
    EMERGENCY,
    ALERT,
    CRITICAL,
    ERROR,
    WARNING,
    NOTICE,
    INFORMATIONAL,
    DEBUG;

    /** Whether this is as grave as the other, or graver. */
    public boolean reaches(Priority least) {
      return compareTo(least) <= 0;
    }
  }

  /**
   * What a signal must be. Texts are compared literally, case included.
   *
   * @param rule for Falco: the name of its rule
   * @param policy for Tetragon: the name of its tracing policy
   * @param event for Tetragon: the type of event, such as {@code process_kprobe}; for Shared
   *     Signals the event's short name, such as {@code session-revoked}
   * @param minPriority for Falco: the least priority
   */
  public record Match(
      @Nullable String rule,
      @Nullable String policy,
      @Nullable String event,
      @Nullable Priority minPriority) {

    /** Whether every signal of the source fits. */
    public boolean isEmpty() {
      return rule == null && policy == null && event == null && minPriority == null;
    }
  }
}
