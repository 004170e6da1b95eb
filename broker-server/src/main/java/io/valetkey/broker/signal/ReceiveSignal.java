package io.valetkey.broker.signal;

import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.identity.KubernetesPod;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.signal.Judge.Judged;
import io.valetkey.broker.signal.PodsSeen.Sighting;
import io.valetkey.broker.signal.Received.Action;
import io.valetkey.broker.signal.Signal.About;
import io.valetkey.broker.stop.CausedStops;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;

/**
 * Takes one signal in: whom is it about, which rule recognises it, stop if that rule says so, and
 * put it into the timeline with its audit record. No rule means that it is marked and nothing else.
 *
 * <p>The stop comes first and by itself: if what follows fails, the sender is told so and sends
 * again, and finds the stop in force.
 */
public final class ReceiveSignal {

  private static final Logger log = LoggerFactory.getLogger(ReceiveSignal.class);

  /**
   * Signals about one agent (or an unknown pod's namespace) from one sender per minute that lead to
   * no new stop.
   */
  static final int MARKS_PER_MINUTE = 120;

  private final PolicyView policy;
  private final AgentFinder agents;
  private final RateLimits limits;
  private final int perMinute;
  private final Judge judge;
  private final Timeline timeline;
  private final AuditLog auditLog;

  /**
   * Makes it.
   *
   * @param perMinute how many signals one sender may send to this replica per minute
   */
  public ReceiveSignal(
      PolicyView policy,
      PodsSeen pods,
      RateLimits limits,
      int perMinute,
      CausedStops stops,
      Timeline timeline,
      AuditLog auditLog,
      Clock clock) {
    this.policy = policy;
    this.agents = new AgentFinder(pods);
    this.limits = limits;
    this.perMinute = perMinute;
    this.judge = new Judge(stops, timeline, clock);
    this.timeline = timeline;
    this.auditLog = auditLog;
    pods.onWritten(this::catchUp);
  }

  /**
   * Takes a signal of an authenticated sender in. When this returns, what it says is durable.
   *
   * @param record the open record of the request, which this completes
   * @throws RefusedException {@link ProblemCode#RATE_LIMITED}, or that something does not answer
   */
  public Received receive(Signal signal, Sender sender, OpenRecord record) {
    Received received = receive(signal, sender, record, () -> true);
    if (received == null) {
      throw new IllegalStateException("a signal without an id of its own cannot be a replay");
    }
    return received;
  }

  /**
   * As {@link #receive(Signal, Sender, OpenRecord)}, for signals that count once.
   *
   * @param claim takes the signal's own id, in the transaction that stores the signal
   * @return null if the id turned out to be taken
   */
  @Nullable Received receive(
      Signal signal, Sender sender, OpenRecord record, BooleanSupplier claim) {
    take(sender.name(), perMinute);
    Received received = takeIn(signal, sender, record, claim);
    if (received != null
        && received.action() == Action.UNMAPPED
        && agents.find(policy.current(), sender, signal.about()) != null) {
      // Its first token was written down while the signal was: whoever came second sees the other.
      return again(signal, sender, received.id());
    }
    return received;
  }

  /** These pods are known from now on, and something may have been seen in them before. */
  private void catchUp(List<Sighting> written) {
    Map<String, List<Sighting>> byCluster =
        written.stream().collect(Collectors.groupingBy(Sighting::issuer));
    byCluster.forEach((cluster, sightings) -> {
      List<KubernetesPod> pods = sightings.stream().map(Sighting::pod).toList();
      List<Timeline.Entry> missed =
          timeline.unmapped(
              cluster,
              pods.stream().map(KubernetesPod::uid).toList(),
              pods.stream().map(pod -> pod.namespace() + "/" + pod.name()).toList());
      for (Timeline.Entry entry : missed) {
        try {
          Signal signal = Facts.signal(entry);
          Sender sender = Sender.sensor(entry.sender(), cluster);
          if (agents.find(policy.current(), sender, signal.about()) != null) {
            var _ = again(signal, sender, entry.received().id());
          }
        } catch (RefusedException e) {
          log.warn("An earlier signal could not be judged again: {}", e.detail());
        }
      }
    });
  }

  private @Nullable Received again(Signal signal, Sender sender, UUID first) {
    return takeIn(signal.again(first), sender, auditLog.open("signal.received"), () -> true);
  }

  private @Nullable Received takeIn(
      Signal signal, Sender sender, OpenRecord record, BooleanSupplier claim) {
    try {
      PolicySnapshot snapshot = policy.current();
      String agent = agents.find(snapshot, sender, signal.about());
      Judged judged =
          agent == null ? Judged.NOBODY : judge.judge(snapshot, agent, signal, sender, record);
      if (!judged.ordered()) {
        take(sender.name() + "\n" + noisemaker(agent, signal.about()), MARKS_PER_MINUTE);
      }
      var received =
          new Received(record.decisionId(), agent, action(agent, judged.stop()), judged.stop());
      Timeline.Entry entry = Facts.entry(received, record.time(), signal, sender, judged.rule());
      return timeline.add(entry, completed(record, entry), claim) ? received : null;
    } catch (DataAccessException | TransactionException e) {
      throw new RefusedException(
          ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer in time.");
    }
  }

  /** Whose noise it is: the agent's, else that of the namespace, so that none drowns the others. */
  private static String noisemaker(@Nullable String agent, About about) {
    if (agent != null) {
      return agent;
    }
    return about instanceof About.Pod pod ? "/" + pod.namespace() : "";
  }

  private void take(String key, int most) {
    if (!limits.takeSignal(key, most)) {
      throw new RefusedException(
          ProblemCode.RATE_LIMITED, "There were too many signals within a minute.");
    }
  }

  private static Action action(@Nullable String agent, @Nullable UUID stop) {
    if (agent == null) {
      return Action.UNMAPPED;
    }
    return stop == null ? Action.MARKED : Action.STOPPED;
  }

  private static AuditRecord completed(OpenRecord record, Timeline.Entry entry) {
    Received received = entry.received();
    if (received.agent() != null) {
      record.agent(received.agent());
    }
    record
        .detail("source", entry.source())
        .detail("sender", entry.sender())
        .detail("action", received.action().word());
    entry
        .facts()
        .properties()
        .forEach(fact -> record.detail(fact.getKey(), fact.getValue().asString()));
    if (entry.issuer() != null) {
      record.detail("about_issuer", entry.issuer());
    }
    if (entry.rule() != null) {
      record.detail("signal_rule", entry.rule());
    }
    if (received.stop() != null) {
      record.detail("stop", received.stop().toString());
    }
    return record.completed(Outcome.GRANTED, null);
  }
}
