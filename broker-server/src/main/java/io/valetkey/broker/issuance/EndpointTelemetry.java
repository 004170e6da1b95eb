package io.valetkey.broker.issuance;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.Outcomes;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.telemetry.EndedRequest;
import io.valetkey.broker.telemetry.Telemetry;
import io.valetkey.broker.telemetry.Trace;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** Counts and times the requests of one kind, and hands those that have ended to the telemetry. */
public final class EndpointTelemetry {

  private static final Duration[] BOUNDS = {
    Duration.ofMillis(1),
    Duration.ofMillis(2),
    Duration.ofMillis(5),
    Duration.ofMillis(10),
    Duration.ofMillis(25),
    Duration.ofMillis(50),
    Duration.ofMillis(100),
    Duration.ofMillis(250),
    Duration.ofMillis(500),
    Duration.ofSeconds(1),
    Duration.ofMillis(2500),
    Duration.ofSeconds(5)
  };

  private final Telemetry telemetry;
  private final Outcomes outcomes = new Outcomes();
  private final Timer granted;
  private final Timer notGranted;

  /**
   * Registers the timers.
   *
   * @param kind {@code token} or {@code lease}: the name of the timer is {@code
   *     valetkey.<kind>.request}
   */
  public EndpointTelemetry(Telemetry telemetry, MeterRegistry registry, String kind) {
    this.telemetry = telemetry;
    this.granted = timer(registry, kind, true);
    this.notGranted = timer(registry, kind, false);
  }

  private static Timer timer(MeterRegistry registry, String kind, boolean granted) {
    return Timer.builder("valetkey." + kind + ".request")
        .description("How long requests took, from their arrival to their answer")
        .tag("granted", String.valueOf(granted))
        .serviceLevelObjectives(BOUNDS)
        .register(registry);
  }

  /** How the requests ended. */
  public Outcomes outcomes() {
    return outcomes;
  }

  /**
   * A request has its answer.
   *
   * @param reason why it was not granted; null if it was
   */
  void ended(
      HttpServletRequest request, OpenRecord record, Trace trace, @Nullable ProblemCode reason) {
    long nanos = System.nanoTime() - trace.began();
    if (reason == null) {
      outcomes.granted();
      granted.record(nanos, TimeUnit.NANOSECONDS);
    } else {
      outcomes.notGranted(reason);
      notGranted.record(nanos, TimeUnit.NANOSECONDS);
    }
    telemetry.ended(reason, () -> described(request, record, trace, reason));
  }

  /** The destination only where it was granted: until then it is whatever somebody sent. */
  private static EndedRequest described(
      HttpServletRequest request, OpenRecord record, Trace trace, @Nullable ProblemCode reason) {
    AuditRecord facts =
        record.completed(reason == null ? Outcome.GRANTED : Outcome.REFUSED, reason);
    return new EndedRequest(
        facts.action(),
        record.decisionId(),
        facts.agent(),
        reason == null ? facts.destination() : null,
        null,
        reason,
        0,
        trace,
        request.getHeader("traceparent"));
  }
}
