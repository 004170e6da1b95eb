package io.valetkey.broker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.valetkey.broker.problem.Outcomes;
import io.valetkey.broker.problem.ProblemCode;
import java.util.function.ToDoubleFunction;

/** The forms in which our metrics are registered. */
final class Meters {

  private Meters() {}

  /** A number that goes up and down. */
  static <T> void gauge(
      MeterRegistry registry, String name, String says, T of, ToDoubleFunction<T> value) {
    Gauge.builder(name, of, value).description(says).register(registry);
  }

  /** A time that goes up and down. */
  static <T> void seconds(
      MeterRegistry registry, String name, String says, T of, ToDoubleFunction<T> value) {
    Gauge.builder(name, of, value).description(says).baseUnit("seconds").register(registry);
  }

  /** A number that only grows. */
  static <T> void counter(
      MeterRegistry registry, String name, String says, T of, ToDoubleFunction<T> value) {
    FunctionCounter.builder(name, of, value).description(says).register(registry);
  }

  /** One series for each way to end, all of them from the start: a first refusal is an increase. */
  static void outcomes(MeterRegistry registry, String name, String says, Outcomes outcomes) {
    FunctionCounter.builder(name, outcomes, Outcomes::countGranted)
        .description(says)
        .tag("outcome", "granted")
        .tag("reason", "none")
        .register(registry);
    for (ProblemCode code : ProblemCode.values()) {
      FunctionCounter.builder(name, outcomes, counted -> counted.count(code))
          .description(says)
          .tag("outcome", code.status() >= 500 ? "failed" : "refused")
          .tag("reason", code.code())
          .register(registry);
    }
  }

  /** As seconds, which is what Prometheus has. */
  static double seconds(long millis) {
    return millis / 1000.0;
  }
}
