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

  private final List<Map<String, Object>> steps = new ArrayList<>();

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
    return step.get()
        .whenComplete((result, failure) -> {
          Throwable cause = cause(failure);
          String word = cause instanceof RefusedException e ? e.code().code() : "failed";
          note(name, failure == null ? "ok" : word, begun);
        });
  }

  List<Map<String, Object>> steps() {
    return List.copyOf(steps);
  }

  /** What a future failed with, without the wrapping of {@link CompletionException}. */
  static Throwable cause(Throwable failure) {
    return failure instanceof CompletionException e && e.getCause() != null
        ? e.getCause()
        : failure;
  }

  private void note(String name, String result, long begun) {
    Map<String, Object> step = new LinkedHashMap<>();
    step.put("step", name);
    step.put("result", result);
    step.put("micros", (System.nanoTime() - begun) / 1000);
    steps.add(step);
  }
}
