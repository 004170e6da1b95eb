package io.valetkey.broker.stop;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import org.jspecify.annotations.Nullable;

/** What is stopped, as a decision asks for it. */
public interface Stops {

  /**
   * The epoch of this view, to be compared by the database when a decision becomes durable. Read it
   * before asking {@link #stopped}, never after.
   *
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  long epoch();

  /**
   * Which target is stopped for something that is being issued or used, the destination apart, if
   * any.
   *
   * @param agent the agent's name
   * @param issuer the name of the issuer of its identity
   * @param jti the access token's id, or null where none exists yet
   * @param tokenEpoch the epoch in which the access token was issued; {@link Long#MAX_VALUE} if
   *     none
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  @Nullable StopTarget stopped(String agent, String issuer, @Nullable String jti, long tokenEpoch);

  /**
   * The destination as a target, if it is stopped.
   *
   * @param tokenEpoch as for {@link #stopped}
   * @throws RefusedException {@link ProblemCode#STOPS_STALE} if the view is older than its bound
   */
  @Nullable StopTarget stoppedDestination(String destination, long tokenEpoch);

  /**
   * Whether a stop that this view knows ends what was allowed before. Answers however old the view
   * is: what is known to be stopped does not become allowed by not hearing more.
   */
  boolean isKnownToBeStopped(
      String agent, String issuer, String jti, long tokenEpoch, String destination);

  /** Whether the view answers. Cheap enough to be asked for each piece of a body. */
  boolean isFresh();
}
