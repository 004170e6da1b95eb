package io.valetkey.broker.policy;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A named set of allow rules on one destination. What no rule allows is refused.
 *
 * @param allow the rules; none is zero access
 * @param maxTokenTtl the longest life of an access token with this scope; no bound of its own if
 *     absent
 */
public record ScopeSpec(List<Rule> allow, @Nullable Duration maxTokenTtl) implements ResourceSpec {

  /**
   * Allows each of the methods on each of the paths.
   *
   * @param methods HTTP methods in upper case
   * @param paths path patterns: {@code *} is one whole segment, {@code **} (last only) is the rest
   */
  public record Rule(List<String> methods, List<String> paths) {}
}
