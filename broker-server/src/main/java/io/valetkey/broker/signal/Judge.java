package io.valetkey.broker.signal;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.SignalRule;
import io.valetkey.broker.stop.CausedStops;
import io.valetkey.broker.stop.StopTarget;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;

/** Applies the rules to a signal about an agent, and orders the stop that one of them asks for. */
final class Judge {

  private static final Duration FOR_EVER = ChronoUnit.FOREVER.getDuration();

  /** A stop beats a mark; of several stops the longest one acts; then the name decides. */
  private static final Comparator<SignalRule> STRONGEST =
      Comparator.comparing(SignalRule::stops)
          .thenComparing(rule -> rule.stopFor() == null ? FOR_EVER : rule.stopFor())
          .thenComparing(SignalRule::name);

  private final CausedStops stops;
  private final Timeline timeline;
  private final Clock clock;

  Judge(CausedStops stops, Timeline timeline, Clock clock) {
    this.stops = stops;
    this.timeline = timeline;
    this.clock = clock;
  }

  /**
   * What the rules say.
   *
   * @param rule the one that recognises the signal, if any
   * @param stop the stop that is in force because of it, if it stops
   * @param ordered whether that stop is new
   */
  record Judged(@Nullable SignalRule rule, @Nullable UUID stop, boolean ordered) {
    static final Judged NOBODY = new Judged(null, null, false);
  }

  Judged judge(
      PolicySnapshot snapshot, String agent, Signal signal, Sender sender, OpenRecord record) {
    SignalRule rule =
        snapshot.signalRules().stream()
            .filter(each -> each.matches(agent, signal.facts()))
            .max(STRONGEST)
            .orElse(null);
    if (rule == null || !rule.stops()) {
      return new Judged(rule, null, false);
    }
    String cause = "signal-rule:" + rule.name() + ":" + agent;
    UUID known = inForce(cause);
    if (known != null) {
      return new Judged(rule, known, false);
    }
    CausedStops.Outcome outcome = order(cause, agent, rule, signal, sender, record);
    return new Judged(rule, outcome.id(), outcome.ordered());
  }

  /** The common pool may be what is going wrong; ordering needs none of it. */
  private @Nullable UUID inForce(String cause) {
    try {
      return timeline.stopInForce(cause).orElse(null);
    } catch (DataAccessException e) {
      return null;
    }
  }

  private CausedStops.Outcome order(
      String cause,
      String agent,
      SignalRule rule,
      Signal signal,
      Sender sender,
      OpenRecord record) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    String reason =
        "Signal "
            + record.decisionId()
            + " by the rule "
            + rule.name()
            + ": "
            + Facts.words(signal);
    return stops.order(
        cause,
        new StopTarget(StopTarget.Kind.AGENT, agent),
        reason,
        rule.stopFor() == null ? null : stops.databaseTime().plus(rule.stopFor()),
        sender.name(),
        new AuditRecord(
            now,
            DecisionId.at(now),
            "stop.create",
            Outcome.GRANTED,
            null,
            agent,
            null,
            null,
            null,
            null,
            null,
            Map.of("actor", sender.name(), "target", "agent", "reason", reason)));
  }
}
