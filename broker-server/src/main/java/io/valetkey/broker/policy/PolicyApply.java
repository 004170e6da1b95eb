package io.valetkey.broker.policy;

import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.policy.Plan.Step;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionOperations;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes a declared set the policy of its owner: all of it in one transaction, or nothing. It takes
 * the lock that every writer takes, writes first and then checks how everything stands together, so
 * that a set is right or wrong whatever the order of its documents. What it did is recorded in the
 * same transaction, which no stop waits for.
 */
public final class PolicyApply {

  private final TransactionOperations transactions;
  private final JdbcClient jdbc;
  private final ResourceJson json;
  private final ChangeLog log;
  private final PolicyRows rows;
  private final ReferenceRules references;
  private final PlanMaker plans;
  private final ApplyRecorder recorder;

  /**
   * Applies to this database.
   *
   * @param transactions transactions on the data source, read committed, with a time-out
   * @param log numbers, records and announces each change
   * @param recorder records that a set was applied
   */
  public PolicyApply(
      DataSource dataSource,
      TransactionOperations transactions,
      ResourceJson json,
      ChangeLog log,
      ApplyRecorder recorder) {
    this.transactions = transactions;
    this.jdbc = JdbcClient.create(dataSource);
    this.json = json;
    this.log = log;
    this.rows = new PolicyRows(jdbc, new StrictJson());
    this.references = new ReferenceRules(jdbc, rows, json);
    this.plans = new PlanMaker(rows);
    this.recorder = recorder;
  }

  /**
   * Applies a set, or only says what that would change: the plan is checked in the same way.
   *
   * @throws InvalidResourceException naming everything that is wrong with the set as it stands
   *     together with the rest of the policy
   * @throws RefusedException {@code precondition_failed} if the plan is not the one that was agreed
   *     to or a newer generation was applied, {@code invalid_request} if everything would be
   *     deleted, {@code conflict} if something that goes is still needed
   */
  public Plan apply(ApplyOrder order) {
    return locked(order, true);
  }

  /**
   * Applies a set as {@link #apply} does, and leaves no record if it was in force already.
   *
   * @throws InvalidResourceException as {@link #apply}
   * @throws RefusedException as {@link #apply}
   */
  public Plan ensure(ApplyOrder order) {
    return locked(order, false);
  }

  private Plan locked(ApplyOrder order, boolean recordAlways) {
    return Objects.requireNonNull(
        transactions.execute(status -> {
          log.lock();
          if (order.dryRun()) {
            status.setRollbackOnly();
          }
          return applyLocked(order, recordAlways);
        }));
  }

  private Plan applyLocked(ApplyOrder order, boolean recordAlways) {
    boolean newer = isNewer(order);
    Plan plan = plans.make(order, log.lastChange());
    if (order.ifRevision() != null && !order.ifRevision().equals(plan.revision())) {
      throw new RefusedException(
          ProblemCode.PRECONDITION_FAILED,
          "The plan is no longer the one with that revision: look at it again.");
    }
    jdbc.sql("SET CONSTRAINTS ALL DEFERRED").update();
    List<Change> changes = write(plan, order);
    check(plan, order);
    jdbc.sql("SET CONSTRAINTS ALL IMMEDIATE").update();
    if (newer) {
      storeGeneration(order.owner(), Objects.requireNonNull(order.generation()));
    }
    if (!order.dryRun() && (recordAlways || newer || !changes.isEmpty())) {
      log.appendAll(changes, connection -> recorder.record(connection, order, plan));
    }
    return plan;
  }

  private List<Change> write(Plan plan, ApplyOrder order) {
    List<Change> changes = new ArrayList<>();
    for (Step step : plan.changes()) {
      long number = log.next();
      ObjectNode before = step.before() == null ? null : step.before().spec();
      ObjectNode after = step.after();
      if (after == null) {
        rows.delete(step.id());
      } else {
        ResourceSpec spec = Objects.requireNonNull(step.spec());
        rows.write(step.id(), after, spec, number, order.owner());
      }
      changes.add(new Change(number, step.id(), order.actor(), before, after));
    }
    return changes;
  }

  /** Looks at what was written as it stands together with everything else. */
  private void check(Plan plan, ApplyOrder order) {
    Map<ResourceId, String> places = new HashMap<>();
    for (int i = 0; i < order.resources().size(); i++) {
      places.put(order.resources().get(i).id(), "/documents/" + i);
    }
    Set<String> agents =
        plan.steps().stream()
            .map(Step::id)
            .filter(id -> id.kind() == ResourceKind.AGENT)
            .map(ResourceId::name)
            .collect(Collectors.toSet());
    List<FieldError> errors = new ArrayList<>();
    for (Step step : plan.steps()) {
      if (step.action() == Action.DELETE) {
        collect(errors, "/documents", step.id(), () -> references.checkUnused(step.id()));
      } else {
        String place = Objects.requireNonNull(places.get(step.id()));
        checkWritten(step, place, agents, errors);
      }
    }
    if (!errors.isEmpty()) {
      throw InvalidResourceException.of(errors);
    }
  }

  private void checkWritten(Step step, String place, Set<String> agents, List<FieldError> errors) {
    ResourceSpec spec = Objects.requireNonNull(step.spec());
    references.check(step.id(), spec).forEach(error -> errors.add(error.below(place + "/spec")));
    if (step.action() != Action.UNCHANGED) {
      StoredResource before = step.before();
      ResourceSpec old = before == null ? null : json.read(step.id().kind(), before.spec());
      collect(
          errors, place, step.id(), () -> references.checkConflicts(step.id(), spec, old, agents));
    }
  }

  private static void collect(
      List<FieldError> errors, String place, ResourceId id, Runnable check) {
    try {
      check.run();
    } catch (RefusedException e) {
      errors.add(
          new FieldError(
              place,
              FieldError.CONFLICT,
              id.kind().singular() + " " + id.qualifiedName() + ": " + e.detail()));
    }
  }

  /** Whether the set has a generation that is newer than any that was applied. */
  private boolean isNewer(ApplyOrder order) {
    if (order.generation() == null) {
      return false;
    }
    long newest =
        jdbc.sql("SELECT generation FROM policy_owner WHERE name = ?")
            .param(order.owner())
            .query(Long.class)
            .optional()
            .orElse(-1L);
    if (order.generation() < newest) {
      throw new RefusedException(
          ProblemCode.PRECONDITION_FAILED,
          "Generation %d of %s was applied: this is generation %d."
              .formatted(newest, order.owner(), order.generation()));
    }
    return order.generation() > newest;
  }

  private void storeGeneration(String owner, long generation) {
    jdbc.sql(
            "INSERT INTO policy_owner (name, generation) VALUES (?, ?)"
                + " ON CONFLICT (name) DO UPDATE SET generation = excluded.generation")
        .params(owner, generation)
        .update();
  }
}
