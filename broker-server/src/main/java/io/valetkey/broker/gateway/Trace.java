package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/** What each step of an exchange answered and how long it took: the trace in the audit record. */
final class Trace {

  private record Step(String name, String result, long micros) {}

  private final List<Step> steps = new ArrayList<>();

  /** Runs a step. What it throws ends the exchange. */
  <T> T step(String name, Supplier<T> step) {
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
  <T> CompletableFuture<T> later(String name, Supplier<CompletableFuture<T>> step) {
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

  /** The steps so far, in the form in which they are recorded. */
  List<Map<String, Object>> steps() {
    List<Map<String, Object>> recorded = new ArrayList<>();
    for (Step step : steps) {
      Map<String, Object> fact = new LinkedHashMap<>();
      fact.put("step", step.name());
      fact.put("result", step.result());
      fact.put("micros", step.micros());
      recorded.add(fact);
    }
    return List.copyOf(recorded);
  }

  /** What a future failed with, without the wrapping of {@link CompletionException}. */
  static Throwable cause(Throwable failure) {
    return failure instanceof CompletionException e && e.getCause() != null
        ? e.getCause()
        : failure;
  }

  private void note(String name, String result, long begun) {
    steps.add(new Step(name, result, (System.nanoTime() - begun) / 1000));
  }
}
