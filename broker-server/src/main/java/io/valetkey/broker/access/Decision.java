package io.valetkey.broker.access;

import io.valetkey.broker.limit.GrantMeter;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.problem.ProblemCode;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The answer of the policy. There is no fourth case, and no default. */
public sealed interface Decision extends UseDecision
    permits Decision.Granted, Decision.Refused, Decision.Undecidable {

  /**
   * It is allowed.
   *
   * @param agent the agent's name
   * @param destination the destination
   * @param scopes the scopes that apply, in the order of the grant
   * @param ttl the longest life of an access token with these scopes, or of a lease
   * @param rule the rule that allowed a use, as {@code scope:pattern}; null where a token is issued
   * @param epoch the stop epoch under which this is true
   * @param meter what the cost of a use is told to; its end must be told too
   * @param approval what a use needs before it may be carried out; null for nothing
   */
  record Granted(
      String agent,
      Destination destination,
      List<String> scopes,
      Duration ttl,
      @Nullable String rule,
      long epoch,
      GrantMeter meter,
      @Nullable NeededApproval approval)
      implements Decision {

    /** What needs no approval. */
    public Granted(
        String agent,
        Destination destination,
        List<String> scopes,
        Duration ttl,
        @Nullable String rule,
        long epoch,
        GrantMeter meter) {
      this(agent, destination, scopes, ttl, rule, epoch, meter, null);
    }
  }

  /**
   * It is not allowed.
   *
   * @param code the true reason
   * @param detail one sentence for the audit record
   * @param retryAfterSeconds when to ask again, where the code says that this is worth it
   */
  record Refused(ProblemCode code, String detail, int retryAfterSeconds) implements Decision {}

  /**
   * It cannot be decided: something that must be known is not. Treated as a no, and said
   * differently.
   *
   * @param code what is missing
   * @param detail one sentence for the audit record
   */
  record Undecidable(ProblemCode code, String detail) implements Decision {}
}
