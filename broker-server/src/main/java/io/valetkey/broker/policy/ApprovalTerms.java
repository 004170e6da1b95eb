package io.valetkey.broker.policy;

import java.time.Duration;

/**
 * That a request needs an approval of its own, as the decision uses it.
 *
 * @param validFor how long it waits for a decision, and then how long its approval can be used
 * @param hold how long the gateway keeps its caller waiting; zero for not at all
 */
public record ApprovalTerms(Duration validFor, Duration hold) {

  /** The largest body that is shown to whoever decides, in bytes. */
  public static final int MOST_BODY = 256 << 10;

  private static final Duration VALID_FOR = Duration.ofMinutes(15);
  private static final Duration SHORTEST = Duration.ofMinutes(1);
  private static final Duration LONGEST = Duration.ofDays(1);
  private static final Duration LONGEST_HOLD = Duration.ofMinutes(1);

  static ApprovalTerms compile(ScopeSpec.Approval spec) {
    Duration validFor = spec.validFor();
    Duration hold = spec.hold();
    return new ApprovalTerms(
        validFor == null ? VALID_FOR : validFor, hold == null ? Duration.ZERO : hold);
  }

  /** What is wrong with them as they are written, and with the rules of their scope. */
  static void check(ScopeSpec scope, Errors errors) {
    ScopeSpec.Approval spec = scope.approval();
    if (spec == null) {
      return;
    }
    if (scope.lease() != null || scope.tunnel() != null) {
      errors.invalid(
          "/approval", "must be left out: only a request can be shown, no lease and no tunnel");
    }
    ApprovalTerms terms = compile(spec);
    if (terms.validFor.compareTo(SHORTEST) < 0 || terms.validFor.compareTo(LONGEST) > 0) {
      errors.invalid("/approval/validFor", "must be from 1m to 24h");
    }
    if (terms.hold.compareTo(LONGEST_HOLD) > 0) {
      errors.invalid("/approval/hold", "must be at most 1m");
    }
    for (int i = 0; i < scope.allow().size(); i++) {
      if (Boolean.TRUE.equals(scope.allow().get(i).webSocket())) {
        errors.invalid(
            "/allow/" + i + "/webSocket", "must be left out: nobody can see what it will carry");
      }
    }
  }
}
