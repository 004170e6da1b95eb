package io.valetkey.broker.declaration;

import io.valetkey.broker.declaration.PastDecisions.Outcome;
import io.valetkey.broker.declaration.ReplayReport.Finding;
import io.valetkey.broker.declaration.ReplayReport.PastUse;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicySnapshot.Delta;
import io.valetkey.broker.policy.PolicyView;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.springframework.jdbc.core.simple.JdbcClient;

/**
 * Decides what the audit trail holds of the last days once more, under the policy as it is and as a
 * plan would make it, and says where the two differ. Stops and limits are no part of it.
 */
public final class Replay {

  /** The furthest that anybody can look back, in days. */
  public static final int MOST_DAYS = 90;

  /** The last statement may take two seconds more. */
  private static final Duration READING = Duration.ofSeconds(3);

  /** For the view to reach what the plan was made of. */
  private static final Duration LONGEST_WAIT = Duration.ofSeconds(1);

  private static final Comparator<Finding> MOST_USED =
      Comparator.<Finding>comparingLong(finding -> finding.count() + finding.repeats())
          .reversed()
          .thenComparing(Finding::lastUsed, Comparator.reverseOrder());

  private final JdbcClient database;
  private final PolicyView view;
  private final Clock clock;

  /** Reads this audit trail, and compares with the policy of this view. */
  public Replay(JdbcClient database, PolicyView view, Clock clock) {
    this.database = database;
    this.view = view;
    this.clock = clock;
  }

  /**
   * Plays a plan through, for at most five seconds.
   *
   * @param days how far to look back, 1 to {@link #MOST_DAYS}
   */
  public ReplayReport of(Plan plan, int days) {
    long deadline = System.nanoTime() + READING.toNanos();
    PolicySnapshot now = view.current(plan.asOf(), LONGEST_WAIT);
    var uses = new PastUses(database, clock.instant());
    uses.read(days, deadline);
    var today = new PastDecisions(now, now, clock);
    var tomorrow = new PastDecisions(now, after(plan, now), clock);
    List<Finding> refused = new ArrayList<>();
    List<Finding> allowed = new ArrayList<>();
    long requests = 0;
    long undecided = 0;
    for (var entry : uses.tallies().entrySet()) {
      PastUses.Tally tally = entry.getValue();
      requests += tally.records();
      PastDecisions.Outcome before = today.outcome(entry.getKey());
      PastDecisions.Outcome after = tomorrow.outcome(entry.getKey());
      if (before instanceof Outcome.Unknown || after instanceof Outcome.Unknown) {
        // Even where both are: a condition may have been changed.
        undecided += tally.records();
      } else if (before instanceof Outcome.Allowed && after instanceof Outcome.Refused(var why)) {
        refused.add(finding(entry.getKey(), why, tally, uses));
      } else if (before instanceof Outcome.Refused(var why) && after instanceof Outcome.Allowed) {
        allowed.add(finding(entry.getKey(), why, tally, uses));
      }
    }
    refused.sort(MOST_USED);
    allowed.sort(MOST_USED);
    return new ReplayReport(
        days,
        uses.since(),
        uses.isCutShort(),
        requests,
        uses.tallies().size(),
        uses.unplaced(),
        undecided,
        refused,
        allowed);
  }

  private static Finding finding(PastUse use, String reason, PastUses.Tally tally, PastUses uses) {
    return new Finding(use, reason, tally.records(), uses.repeats(tally), tally.lastUsed());
  }

  private static PolicySnapshot after(Plan plan, PolicySnapshot now) {
    return now.with(
        now.version() + 1,
        deltas ->
            plan.changes()
                .forEach(step ->
                    deltas.accept(
                        new Delta(
                            step.id().kind(),
                            step.id().qualifiedName(),
                            now.version() + 1,
                            step.spec()))));
  }
}
