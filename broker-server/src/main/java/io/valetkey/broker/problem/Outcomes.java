package io.valetkey.broker.problem;

import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/**
 * How often something was granted, and how often it was not, by reason. Counting allocates nothing
 * and waits for nobody; safe on any thread.
 */
public final class Outcomes {

  private final LongAdder granted = new LongAdder();
  private final Map<ProblemCode, LongAdder> others = new EnumMap<>(ProblemCode.class);

  /** Everything is 0. */
  public Outcomes() {
    for (ProblemCode code : ProblemCode.values()) {
      others.put(code, new LongAdder());
    }
  }

  /** One more was granted. */
  public void granted() {
    granted.increment();
  }

  /** One more was refused or failed for this reason. */
  public void notGranted(ProblemCode reason) {
    adder(reason).increment();
  }

  /** How many were granted. */
  public long countGranted() {
    return granted.sum();
  }

  /** How many were refused or failed for this reason. */
  public long count(ProblemCode reason) {
    return adder(reason).sum();
  }

  private LongAdder adder(ProblemCode reason) {
    LongAdder adder = others.get(reason);
    if (adder == null) {
      throw new IllegalStateException("no counter for " + reason);
    }
    return adder;
  }
}
