package io.valetkey.broker.telemetry;

import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/**
 * What each step of a request answered and how long it took: in the audit record of a refusal, and
 * a span each where traces are on. Belongs to one request.
 */
public final class Trace {

  /**
   * One step, by the monotonic clock.
   *
   * @param result {@code ok}, {@code failed} or the problem code that ended the request
   */
  record Step(String name, String result, long beganNanos, long endedNanos) {}

  private final long began = System.nanoTime();
  private final List<Step> steps = new ArrayList<>();

  /** When the request arrived, by {@link System#nanoTime()}. */
  public long began() {
    return began;
  }

  /** Runs a step. What it throws ends the request. */
  public <T> T step(String name, Supplier<T> step) {
    long begun = System.nanoTime();
    try {
      T result = step.get();
      note(name, "ok", begun);
      return result;
    } catch (RefusedException e) {
      note(name, e.code().code(), begun);
      throw e;
    }
  }

  /** Runs a step that answers later. */
  public <T> CompletableFuture<T> later(String name, Supplier<CompletableFuture<T>> step) {
    long begun = System.nanoTime();
    CompletableFuture<T> answer = step.get();
    if (answer.isDone() && !answer.isCompletedExceptionally()) {
      note(name, "ok", begun);
      return answer;
    }
    return answer.whenComplete((result, failure) -> {
      Throwable cause = cause(failure);
      String word = cause instanceof RefusedException e ? e.code().code() : "failed";
      note(name, failure == null ? "ok" : word, begun);
    });
  }

  /** A step that ends now. */
  public void note(String name, String result, long begunNanos) {
    steps.add(new Step(name, result, begunNanos, System.nanoTime()));
  }

  /** The steps so far, in the form in which they are recorded. */
  public List<Map<String, Object>> recorded() {
    List<Map<String, Object>> recorded = new ArrayList<>();
    for (Step step : steps) {
      Map<String, Object> fact = new LinkedHashMap<>();
      fact.put("step", step.name());
      fact.put("result", step.result());
      fact.put("micros", (step.endedNanos() - step.beganNanos()) / 1000);
      recorded.add(fact);
    }
    return List.copyOf(recorded);
  }

  List<Step> steps() {
    return List.copyOf(steps);
  }

  /** What a future failed with, without the wrapping of {@link CompletionException}. */
  public static Throwable cause(Throwable failure) {
    return failure instanceof CompletionException e && e.getCause() != null
        ? e.getCause()
        : failure;
  }
}
