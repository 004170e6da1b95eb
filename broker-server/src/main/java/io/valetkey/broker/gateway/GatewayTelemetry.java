package io.valetkey.broker.gateway;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.valetkey.broker.problem.Outcomes;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.telemetry.BoundedNames;
import io.valetkey.broker.telemetry.EndedRequest;
import io.valetkey.broker.telemetry.Telemetry;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/**
 * Counts and times what the gateway does. Every counter exists before it is needed; a destination's
 * are made when it is used first, for {@link #DESTINATIONS} of them at most. No label takes what a
 * caller chose: a destination counts once the policy has allowed the request.
 */
public final class GatewayTelemetry {

  /** How many destinations have counters of their own. */
  public static final int DESTINATIONS = 200;

  private final Telemetry telemetry;
  private final Outcomes outcomes = new Outcomes();
  private final LongAdder abandoned = new LongAdder();
  private final Timer admission;
  private final Timer upstream;
  private final Counter toUpstream;
  private final Counter toCaller;
  private final BoundedNames<DestinationMeters> destinations;

  /** Registers what is not of a single destination. */
  public GatewayTelemetry(Telemetry telemetry, MeterRegistry registry) {
    this.telemetry = telemetry;
    this.admission =
        Timer.builder("valetkey.gateway.admission")
            .description("Our own part: from the request's head until it may go upstream")
            .serviceLevelObjectives(millis(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500))
            .register(registry);
    this.upstream =
        Timer.builder("valetkey.gateway.upstream")
            .description("The destination's part: from then until the head of its answer")
            .serviceLevelObjectives(millis(5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000, 30000))
            .register(registry);
    this.toUpstream = bytes(registry, "upstream");
    this.toCaller = bytes(registry, "caller");
    this.destinations =
        new BoundedNames<>(DESTINATIONS, name -> new DestinationMeters(registry, name));
  }

  private static Duration[] millis(int... values) {
    Duration[] bounds = new Duration[values.length];
    for (int i = 0; i < values.length; i++) {
      bounds[i] = Duration.ofMillis(values[i]);
    }
    return bounds;
  }

  private static Counter bytes(MeterRegistry registry, String to) {
    return Counter.builder("valetkey.gateway.bytes")
        .description("Bytes of bodies that were passed on")
        .tag("to", to)
        .register(registry);
  }

  /** How the requests ended: granted is an answer of the destination, whatever its status. */
  public Outcomes outcomes() {
    return outcomes;
  }

  /** How many callers went away before their answer was complete. */
  public double abandoned() {
    return abandoned.sum();
  }

  /** The destination's answer is complete. */
  void served(Exchange exchange, @Nullable String traceparent) {
    outcomes.granted();
    ended(exchange, null, traceparent);
  }

  /** The exchange was refused, failed or was cut. */
  void unserved(Exchange exchange, ProblemCode reason, @Nullable String traceparent) {
    outcomes.notGranted(reason);
    ended(exchange, reason, traceparent);
  }

  /** The caller has gone. */
  void abandoned(Exchange exchange) {
    abandoned.increment();
    measure(exchange, null);
  }

  /** The bytes were no request at all. */
  void unreadable(ProblemCode reason) {
    outcomes.notGranted(reason);
  }

  private void ended(
      Exchange exchange, @Nullable ProblemCode reason, @Nullable String traceparent) {
    measure(exchange, reason);
    telemetry.ended(
        reason,
        () ->
            new EndedRequest(
                "gateway.request",
                exchange.entry().decisionId(),
                exchange.agent(),
                exchange.destination(),
                exchange.method(),
                reason,
                exchange.status(),
                exchange.trace(),
                traceparent));
  }

  private void measure(Exchange exchange, @Nullable ProblemCode reason) {
    String destination = exchange.destination();
    if (destination == null) {
      return;
    }
    DestinationMeters meters = destinations.of(destination);
    admission.record(exchange.admissionNanos(), TimeUnit.NANOSECONDS);
    if (exchange.status() > 0) {
      upstream.record(exchange.upstreamNanos(), TimeUnit.NANOSECONDS);
      meters.answered(exchange.status(), exchange.upstreamNanos());
    }
    if (reason != null) {
      meters.failed();
    }
    toUpstream.increment((double) exchange.bytesToUpstream());
    toCaller.increment((double) exchange.bytesToCaller());
  }

  /** What is counted for one destination: seven series. */
  private static final class DestinationMeters {

    private static final int CLASSES = 4;
    private final Counter[] answers = new Counter[CLASSES];
    private final Counter failed;
    private final Timer upstream;

    DestinationMeters(MeterRegistry registry, String name) {
      for (int i = 0; i < CLASSES; i++) {
        answers[i] = counter(registry, name, (i + 2) + "xx");
      }
      failed = counter(registry, name, "failed");
      upstream =
          Timer.builder("valetkey.destination.upstream")
              .description("Time until the head of an answer, by destination")
              .tag("destination", name)
              .register(registry);
    }

    private static Counter counter(MeterRegistry registry, String name, String result) {
      return Counter.builder("valetkey.destination.requests")
          .description("Requests that the policy allowed: status of the answer, or failed")
          .tag("destination", name)
          .tag("result", result)
          .register(registry);
    }

    void answered(int status, long nanos) {
      answers[Math.clamp(status / 100 - 2, 0, CLASSES - 1)].increment();
      upstream.record(nanos, TimeUnit.NANOSECONDS);
    }

    void failed() {
      failed.increment();
    }
  }
}
