package io.valetkey.broker.control;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopOrder;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopTarget;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Orders and lifts stops for somebody, who is named in the audit trail whatever they came by. */
public final class StopOrders {

  /** The longest reason, in characters. */
  public static final int LONGEST_REASON = 1000;

  private final StopStore stops;
  private final Clock clock;

  /** Orders in this store. */
  public StopOrders(StopStore stops, Clock clock) {
    this.stops = stops;
    this.clock = clock;
  }

  /**
   * Orders a stop; durable when this returns, together with its audit record.
   *
   * @param reason one line, in their words
   * @param expiresAt when it ends by itself; never if null
   * @throws RefusedException {@code temporarily_unavailable} if the database does not answer
   */
  public StopOrder order(StopTarget target, String reason, @Nullable Instant expiresAt, Admin by) {
    return stops.order(
        target, reason, expiresAt, by.name(), record("stop.create", target, reason, by));
  }

  /** Whether this says why, in one line that can be shown anywhere. */
  public static boolean isReason(String text) {
    return !text.isBlank()
        && text.length() <= LONGEST_REASON
        && text.chars().noneMatch(Character::isISOControl);
  }

  /**
   * The stop with this id, in the one form in which an id is written.
   *
   * @throws RefusedException {@code not_found} if there is none
   */
  public StopOrder find(String id) {
    try {
      UUID uuid = UUID.fromString(id);
      if (uuid.toString().equals(id)) {
        return stops.find(uuid).orElseThrow(StopOrders::notFound);
      }
    } catch (IllegalArgumentException e) {
      // It is none.
    }
    throw notFound();
  }

  /**
   * Lifts a stop.
   *
   * @throws RefusedException {@code conflict} if it is not in force, {@code not_found} if there is
   *     none any more
   */
  public void lift(StopOrder stop, String reason, Admin by) {
    AuditRecord record = record("stop.lift", stop.target(), reason, by);
    if (stops.lift(stop.id(), reason, by.name(), record).isEmpty()) {
      throw notFound();
    }
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such stop.");
  }

  private AuditRecord record(String action, StopTarget target, String reason, Admin by) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    return new AuditRecord(
        now,
        DecisionId.at(now),
        action,
        Outcome.GRANTED,
        null,
        valueIf(target, StopTarget.Kind.AGENT),
        valueIf(target, StopTarget.Kind.ISSUER),
        null,
        valueIf(target, StopTarget.Kind.DESTINATION),
        null,
        valueIf(target, StopTarget.Kind.TOKEN),
        Map.of("actor", by.name(), "target", target.kind().word(), "reason", reason));
  }

  private static @Nullable String valueIf(StopTarget target, StopTarget.Kind kind) {
    return target.kind() == kind ? target.value() : null;
  }
}
