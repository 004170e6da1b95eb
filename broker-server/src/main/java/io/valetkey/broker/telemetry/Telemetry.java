package io.valetkey.broker.telemetry;

import io.valetkey.broker.problem.ProblemCode;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Where requests go when they have ended: a line for each refusal, and a trace of some. */
public final class Telemetry {

  private final Traces traces;
  private final RefusalLog refusals;

  /** Traces go there; {@link Traces#OFF} for nowhere. */
  public Telemetry(Traces traces) {
    this.traces = traces;
    this.refusals = new RefusalLog();
  }

  /**
   * Takes a request that has ended. Never waits and never fails the request.
   *
   * @param reason why it was not served; null if it was
   * @param request made only if somebody wants it
   */
  public void ended(@Nullable ProblemCode reason, Supplier<EndedRequest> request) {
    boolean traced = traces.wants(reason);
    if (!traced && reason == null) {
      return;
    }
    EndedRequest ended = request.get();
    if (reason != null) {
      refusals.add(ended);
    }
    if (traced) {
      traces.add(ended);
    }
  }
}
