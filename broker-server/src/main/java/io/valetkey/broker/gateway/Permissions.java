package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.problem.RefusedException;

/** The two questions that the gateway has for the rest of the broker. Neither blocks. */
public interface Permissions {

  /**
   * What was allowed.
   *
   * @param rule the rule that allowed it, as {@code scope:pattern}
   * @param epoch the stop epoch under which this is true
   * @param target where to
   */
  record Permit(String rule, long epoch, Destination target) {}

  /**
   * Verifies an access token.
   *
   * @throws RefusedException if it is not acceptable
   */
  Caller verify(String token);

  /**
   * Decides whether the request may be carried out, now: stops, agent, destination, grant, scopes,
   * limits.
   *
   * @throws RefusedException if it may not, or if that cannot be decided
   */
  Permit authorise(Caller caller, String destination, String method, RequestPath path);
}
