package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.lease.LeaseStore.Activation;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.time.Duration;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Decides, and decides again when a stop came between a decision and its record. The database tells
 * whether one did.
 */
final class LeaseDecisions {

  private static final int ATTEMPTS = 5;

  /** How long to wait for this replica's view of stops to reach what the database has. */
  private static final Duration VIEW_PAUSE = Duration.ofMillis(20);

  private final Access access;

  LeaseDecisions(Access access) {
    this.access = access;
  }

  /**
   * Whether the holder may lease.
   *
   * @throws RefusedException with the true reason, if not
   */
  Decision.Granted require(Holder holder, String destination, @Nullable String scope) {
    return switch (access.decideLease(holder, destination, scope)) {
      case Decision.Granted granted -> granted;
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable no -> throw new RefusedException(no.code(), no.detail());
    };
  }

  /**
   * Makes a change that stands under the epoch of its decision.
   *
   * @param first the epoch of the decision that was made already
   * @param change the change under an epoch
   * @throws RefusedException with the true reason, if the holder may not lease any more; {@link
   *     ProblemCode#STOPPED} if the lease itself was ended meanwhile
   */
  Lease settle(
      Holder holder,
      String destination,
      String scope,
      long first,
      LongFunction<Activation> change) {
    long epoch = first;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      switch (change.apply(epoch)) {
        case Activation.Active(Lease lease) -> {
          return lease;
        }
        case Activation.Ended() ->
            throw new RefusedException(
                ProblemCode.STOPPED, "The lease was ended while it was being handed out");
        case Activation.DecideAgain() -> {
          pause();
          epoch = require(holder, destination, scope).epoch();
        }
      }
    }
    throw new RefusedException(
        ProblemCode.STOPS_STALE, "Stops came faster than this replica could take them in");
  }

  private static void pause() {
    try {
      Thread.sleep(VIEW_PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
