package io.valetkey.broker.lease;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.lease.LeaseHandouts.Activation;
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
    return granted(access.decideLease(holder, destination, scope));
  }

  private static Decision.Granted granted(Decision decision) {
    return switch (decision) {
      case Decision.Granted granted -> granted;
      case Decision.Refused refused -> throw new RefusedException(refused.code(), refused.detail());
      case Decision.Undecidable no -> throw new RefusedException(no.code(), no.detail());
    };
  }

  /**
   * Whether a lease may be kept, as it was handed out: to its holder, under its epoch, and from the
   * source that the policy still names.
   */
  Decision kept(Lease lease) {
    Decision decision = access.decideKept(lease.holder(), lease.scope());
    if (decision instanceof Decision.Granted granted
        && !LeaseSource.of(granted.destination(), lease.scope()).isOf(lease)) {
      return new Decision.Refused(
          ProblemCode.NOT_GRANTED, "The policy names another role than the lease has", 1);
    }
    return decision;
  }

  /**
   * The source of a lease that may be kept.
   *
   * @throws RefusedException with the true reason, if it may not
   */
  LeaseSource requireKept(Lease lease) {
    return LeaseSource.of(granted(kept(lease)).destination(), lease.scope());
  }

  /**
   * Makes a change that stands under the epoch of its decision.
   *
   * @param first the decision that was made already
   * @param source what it was about; a later decision must be about the same
   * @param change the change under an epoch
   * @throws RefusedException with the true reason, if the holder may not lease any more; {@link
   *     ProblemCode#CONFLICT} if the lease ended or the policy changed meanwhile
   */
  Lease settle(
      Holder holder, Decision.Granted first, LeaseSource source, LongFunction<Activation> change) {
    String destination = first.destination().name();
    String scope = first.scopes().getFirst();
    long epoch = first.epoch();
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      switch (change.apply(epoch)) {
        case Activation.Active(Lease lease) -> {
          return lease;
        }
        case Activation.Ended() -> {
          // If a stop ended it, that is said; else it was too slow, or somebody ended it.
          var _ = require(holder, destination, scope);
          throw new RefusedException(
              ProblemCode.CONFLICT, "The lease ended meanwhile: ask for a new one.");
        }
        case Activation.DecideAgain() -> {
          pause();
          Decision.Granted again = require(holder, destination, scope);
          if (!LeaseSource.of(again.destination(), scope).equals(source)) {
            throw new RefusedException(
                ProblemCode.CONFLICT, "The policy changed meanwhile: ask for a new one.");
          }
          epoch = again.epoch();
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
