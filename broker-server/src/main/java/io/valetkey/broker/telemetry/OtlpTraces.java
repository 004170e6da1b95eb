package io.valetkey.broker.telemetry;

import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.samplers.Sampler;
import io.valetkey.broker.problem.ProblemCode;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Sends traces by OTLP over HTTP. A request becomes a trace when it has ended, from the times that
 * its steps have noted: nothing is kept on a thread meanwhile, and what was not served can be
 * traced always. What cannot be sent soon enough is dropped.
 *
 * @see <a href="https://opentelemetry.io/docs/specs/otlp/#otlphttp">OTLP/HTTP</a>
 */
public final class OtlpTraces implements Traces, AutoCloseable {

  private static final Duration LONGEST_CALL = Duration.ofSeconds(5);
  private static final TextMapGetter<String> TRACEPARENT =
      new TextMapGetter<>() {
        @Override
        public Iterable<String> keys(String carrier) {
          return List.of("traceparent");
        }

        @Override
        public @Nullable String get(@Nullable String carrier, String key) {
          return key.equals("traceparent") ? carrier : null;
        }
      };

  private final int percent;
  private final SdkTracerProvider provider;
  private final Tracer tracer;

  /**
   * Starts to send.
   *
   * @param endpoint the collector's base address; {@code /v1/traces} comes behind it
   * @param percent how many of a hundred served requests are traced
   * @param version our own version
   */
  public OtlpTraces(URI endpoint, int percent, String version) {
    this.percent = percent;
    var exporter =
        OtlpHttpSpanExporter.builder()
            .setEndpoint(endpoint.toString().replaceAll("/+$", "") + "/v1/traces")
            .setTimeout(LONGEST_CALL)
            .build();
    this.provider =
        SdkTracerProvider.builder()
            .setResource(
                Resource.create(
                    Attributes.builder()
                        .put("service.name", "valetkey")
                        .put("service.version", version)
                        .build()))
            .setSampler(Sampler.alwaysOn()) // Whether is decided by wants, never by the caller.
            .addSpanProcessor(
                BatchSpanProcessor.builder(exporter)
                    .setScheduleDelay(Duration.ofSeconds(1))
                    .build())
            .build();
    this.tracer = provider.get("io.valetkey.broker");
  }

  @Override
  public boolean wants(@Nullable ProblemCode reason) {
    return reason != null || ThreadLocalRandom.current().nextInt(100) < percent;
  }

  @Override
  public void add(EndedRequest request) {
    long offset = epochNanos() - System.nanoTime();
    var builder =
        tracer
            .spanBuilder(request.action())
            .setNoParent() // Ours: a caller must not write into a trace that it names.
            .setSpanKind(SpanKind.SERVER)
            .setStartTimestamp(request.trace().began() + offset, TimeUnit.NANOSECONDS);
    SpanContext caller = callersSpan(request.traceparent());
    if (caller.isValid()) {
      builder.addLink(caller);
    }
    Span root = builder.startSpan();
    root.setAttribute("valetkey.decision_id", request.decisionId().toString());
    root.setAttribute("valetkey.outcome", request.outcome());
    attribute(root, "valetkey.agent", request.agent());
    attribute(root, "valetkey.destination", request.destination());
    attribute(root, "http.request.method", request.method());
    ProblemCode reason = request.reason();
    attribute(root, "valetkey.reason", reason == null ? null : reason.code());
    if (request.status() > 0) {
      root.setAttribute("http.response.status_code", request.status());
    }
    if (request.failed()) {
      root.setStatus(StatusCode.ERROR);
    }
    Context parent = Context.root().with(root);
    for (Trace.Step step : request.trace().steps()) {
      add(step, parent, offset);
    }
    root.end(System.nanoTime() + offset, TimeUnit.NANOSECONDS);
  }

  private void add(Trace.Step step, Context parent, long offset) {
    Span span =
        tracer
            .spanBuilder(step.name())
            .setParent(parent)
            .setStartTimestamp(step.beganNanos() + offset, TimeUnit.NANOSECONDS)
            .startSpan();
    span.setAttribute("valetkey.result", step.result());
    span.end(step.endedNanos() + offset, TimeUnit.NANOSECONDS);
  }

  private static SpanContext callersSpan(@Nullable String traceparent) {
    if (traceparent == null) {
      return SpanContext.getInvalid();
    }
    Context read =
        W3CTraceContextPropagator.getInstance().extract(Context.root(), traceparent, TRACEPARENT);
    return Span.fromContext(read).getSpanContext();
  }

  private static void attribute(Span span, String name, @Nullable String value) {
    if (value != null) {
      span.setAttribute(name, value);
    }
  }

  private static long epochNanos() {
    Instant now = Instant.now();
    return TimeUnit.SECONDS.toNanos(now.getEpochSecond()) + now.getNano();
  }

  /** Sends what still waits, within a bound. */
  @Override
  public void close() {
    provider.shutdown().join(LONGEST_CALL.toMillis(), TimeUnit.MILLISECONDS);
  }
}
