package io.valetkey.broker.telemetry;

import io.valetkey.broker.problem.ProblemCode;
import org.jspecify.annotations.Nullable;

/** Where traces of requests go. Neither method waits. */
public interface Traces {

  /** Nowhere. */
  Traces OFF =
      new Traces() {
        @Override
        public boolean wants(@Nullable ProblemCode reason) {
          return false;
        }

        @Override
        public void add(EndedRequest request) {}
      };

  /** Whether a request that ended so is to be added; asked once for each. */
  boolean wants(@Nullable ProblemCode reason);

  /** Takes the trace of a request. */
  void add(EndedRequest request);
}
