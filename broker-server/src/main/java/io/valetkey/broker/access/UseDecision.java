package io.valetkey.broker.access;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.policy.Destination;

/** The answer of the policy about one request: a decision, or what is wanted for one. */
public sealed interface UseDecision permits Decision, UseDecision.Incomplete {

  /**
   * It depends on a part of the request that was not given: ask again with it. Whoever has no more
   * to give does not know.
   *
   * @param destination the destination
   * @param rule the rule that asks for it
   * @param part the part
   * @param mostBytes of a body, how many bytes at most are looked at; a larger one is never allowed
   */
  record Incomplete(Destination destination, String rule, Part part, int mostBytes)
      implements UseDecision {}
}
