package io.valetkey.broker.admin;

import io.valetkey.broker.audit.AuditRecord;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.DecisionId;
import io.valetkey.broker.audit.TransactionalAudit;
import io.valetkey.broker.policy.ApplyOrder;
import io.valetkey.broker.policy.ApplyRecorder;
import io.valetkey.broker.policy.Change;
import io.valetkey.broker.policy.ChangeRecorder;
import io.valetkey.broker.policy.Plan;
import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.policy.ResourceKind;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Keeps every change of the policy in the audit trail, with what was there before and after. */
public final class AuditedChanges implements ChangeRecorder, ApplyRecorder {

  private final Clock clock;

  /** Records changes at the time of this clock. */
  public AuditedChanges(Clock clock) {
    this.clock = clock;
  }

  @Override
  public void record(Connection transaction, Change change) throws SQLException {
    TransactionalAudit.record(transaction, recordOf(change));
  }

  @Override
  public void recordAll(Connection transaction, List<Change> changes) throws SQLException {
    TransactionalAudit.recordAll(transaction, changes.stream().map(this::recordOf).toList());
  }

  @Override
  public void record(Connection transaction, ApplyOrder order, Plan plan) throws SQLException {
    Map<String, Object> details = new LinkedHashMap<>();
    details.put("actor", order.actor());
    details.put("managed_by", order.owner());
    details.put("revision", plan.revision());
    if (order.generation() != null) {
      details.put("generation", order.generation());
    }
    for (Action action : Action.values()) {
      details.put(action.name().toLowerCase(Locale.ROOT), plan.count(action));
    }
    TransactionalAudit.record(transaction, AuditRecord.done(clock, "admin.apply", details));
  }

  private AuditRecord recordOf(Change change) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.MILLIS);
    Map<String, Object> details = new LinkedHashMap<>();
    details.put("actor", change.actor());
    details.put("kind", change.id().kind().singular());
    details.put("name", change.id().qualifiedName());
    details.put("change", change.number());
    if (change.before() != null) {
      details.put("before", change.before());
    }
    if (change.after() != null) {
      details.put("after", change.after());
    }
    return new AuditRecord(
        now,
        DecisionId.at(now),
        "admin." + verb(change),
        Outcome.GRANTED,
        null,
        nameIf(change, ResourceKind.AGENT),
        nameIf(change, ResourceKind.ISSUER),
        null,
        destination(change),
        null,
        null,
        details);
  }

  private static String verb(Change change) {
    if (change.before() == null) {
      return "create";
    }
    return change.after() == null ? "delete" : "update";
  }

  private static @Nullable String nameIf(Change change, ResourceKind kind) {
    return change.id().kind() == kind ? change.id().name() : null;
  }

  private static @Nullable String destination(Change change) {
    return change.id().kind() == ResourceKind.SCOPE
        ? change.id().parent()
        : nameIf(change, ResourceKind.DESTINATION);
  }
}
