package io.valetkey.broker.policy;

import io.valetkey.broker.condition.Conditions;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What may be done on one destination, under a name: a set of allow rules, or what its kind has in
 * their place. What is not allowed is refused.
 *
 * @param allow the rules; none is zero access
 * @param lease what may be leased, on a leased destination; absent on any other
 * @param tunnel true on a destination of the kind {@code tunnel}, where a tunnel may be opened;
 *     absent on any other
 * @param maxTokenTtl the longest life of an access token with this scope; no bound of its own if
 *     absent
 * @param approval that somebody has to approve each request which the rules allow; nobody has to if
 *     absent
 */
public record ScopeSpec(
    List<Rule> allow,
    @Nullable Lease lease,
    @Nullable Boolean tunnel,
    @Nullable Duration maxTokenTtl,
    @Nullable Approval approval)
    implements ResourceSpec {

  /** A scope of no tunnel, whose requests nobody has to approve. */
  public ScopeSpec(List<Rule> allow, @Nullable Lease lease, @Nullable Duration maxTokenTtl) {
    this(allow, lease, null, maxTokenTtl, null);
  }

  /**
   * How requests are approved.
   *
   * @param validFor how long a request waits for a decision, and then how long its approval can be
   *     used; 15 min if absent
   * @param hold how long the gateway keeps the caller waiting before it says that an approval is
   *     needed; not at all if absent
   */
  public record Approval(@Nullable Duration validFor, @Nullable Duration hold) {}

  /**
   * What may be leased.
   *
   * @param role the role in Vault; the destination's if absent
   * @param maxTtl how long a lease lives at most, renewals included; 1 h if absent
   * @param maxLive how many leases one agent may have at once; 10 if absent
   */
  public record Lease(
      @Nullable String role, @Nullable Duration maxTtl, @Nullable Integer maxLive) {}

  /**
   * Allows each of the methods on each of the paths.
   *
   * @param methods HTTP methods in upper case
   * @param paths path patterns: {@code *} is one whole segment, {@code **} (last only) is the rest
   * @param webSocket whether a {@code GET} that it allows may become a WebSocket (RFC 6455), whose
   *     frames no rule sees; false if absent
   * @param conditions what it asks for besides; nothing if absent
   */
  public record Rule(
      List<String> methods,
      List<String> paths,
      @Nullable Boolean webSocket,
      @Nullable Conditions conditions) {

    /** A rule about method and path alone. */
    public Rule(List<String> methods, List<String> paths, @Nullable Boolean webSocket) {
      this(methods, paths, webSocket, null);
    }

    /** A rule for ordinary requests alone. */
    public Rule(List<String> methods, List<String> paths) {
      this(methods, paths, null);
    }
  }
}
