package io.valetkey.broker.policy;

import io.valetkey.broker.condition.WhenCondition;
import io.valetkey.broker.policy.WriteOrder.Operation;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.transaction.support.TransactionOperations;
import tools.jackson.databind.node.ObjectNode;

/**
 * The resources in PostgreSQL. Writers wait for one another: each takes the same lock before it
 * looks at anything, so that what it checked is still so when it commits, and so that the numbers
 * of the change log are committed in their order.
 */
public final class PolicyStore {

  /** The most that one page can hold. */
  public static final int MAX_PAGE = 500;

  private final TransactionOperations transactions;
  private final StrictJson strictJson = new StrictJson();
  private final ResourceJson json;
  private final ResourceValidator validator;
  private final ChangeLog log;
  private final PolicyRows rows;
  private final ReferenceRules references;

  /**
   * Makes a store.
   *
   * @param transactions transactions on the data source, read committed, with a time-out
   * @param log numbers, records and announces each change
   */
  public PolicyStore(
      DataSource dataSource,
      TransactionOperations transactions,
      ResourceJson json,
      ResourceValidator validator,
      ChangeLog log) {
    JdbcClient jdbc = JdbcClient.create(dataSource);
    this.transactions = transactions;
    this.json = json;
    this.validator = validator;
    this.log = log;
    this.rows = new PolicyRows(jdbc, strictJson);
    this.references = new ReferenceRules(jdbc, rows, json);
  }

  /** One resource, if it exists. */
  public Optional<StoredResource> get(ResourceId id) {
    return rows.find(id);
  }

  /** The fields of a stored resource. */
  public ResourceSpec spec(StoredResource resource) {
    return json.read(resource.id().kind(), resource.spec());
  }

  /**
   * A page of a list, by name. Pages stay in step when resources come and go between them.
   *
   * @param parent the destination whose scopes are listed; null for every other kind
   * @param limit 1 to {@link #MAX_PAGE}
   * @param cursor where an earlier page said to go on; null for the beginning
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} for a limit or cursor of another
   *     kind or {@link ProblemCode#NOT_FOUND} if the parent does not exist
   */
  public ResourcePage page(
      ResourceKind kind, @Nullable String parent, int limit, @Nullable String cursor) {
    if (limit < 1 || limit > MAX_PAGE) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "The limit must be from 1 to " + MAX_PAGE + ".");
    }
    String last = cursor == null ? "" : PageCursor.decode(cursor);
    if (parent != null) {
      requireExists(ResourceId.of(ResourceKind.DESTINATION, parent));
    }
    List<StoredResource> found = rows.after(kind, parent, last, limit + 1);
    if (found.size() <= limit) {
      return new ResourcePage(found, null);
    }
    List<StoredResource> items = List.copyOf(found.subList(0, limit));
    return new ResourcePage(items, PageCursor.encode(items.getLast().id().name()));
  }

  /**
   * Carries out a change, or only says what it would be. A change is stored, recorded, numbered and
   * announced in one transaction.
   *
   * @throws InvalidResourceException naming everything that is wrong with the document
   * @throws RefusedException {@code not_found}, {@code conflict}, {@code precondition_failed} or
   *     {@code precondition_required}
   */
  public WriteOutcome write(WriteOrder order) {
    prepare(order.operation());
    return transactions.<WriteOutcome>execute(status -> {
      log.lock();
      if (order.dryRun()) {
        status.setRollbackOnly();
      }
      return writeLocked(order);
    });
  }

  /** What takes long the first time does so before the lock is taken. */
  private static void prepare(Operation operation) {
    boolean conditional =
        switch (operation) {
          case Operation.Put(ObjectNode document) -> document.findValue("when") != null;
          case Operation.Patch(ObjectNode patch) -> patch.findValue("when") != null;
          case Operation.Delete() -> false;
        };
    if (conditional) {
      WhenCondition.prepare();
    }
  }

  private WriteOutcome writeLocked(WriteOrder order) {
    ResourceId id = order.id();
    if (id.parent() != null) {
      requireExists(ResourceId.of(ResourceKind.DESTINATION, id.parent()));
    }
    StoredResource before = rows.find(id).orElse(null);
    return switch (order.operation()) {
      case Operation.Put(ObjectNode document) -> {
        checkPrecondition(order, before);
        ResourceSpec spec = validated(id, document);
        // A null says the same as a field that is not there, so it is not kept.
        ObjectNode kept = (ObjectNode) MergePatch.apply(strictJson.empty(), document);
        yield store(order, before, kept, spec);
      }
      case Operation.Patch(ObjectNode patch) -> {
        checkPrecondition(order, existing(before));
        ObjectNode document = (ObjectNode) MergePatch.apply(existing(before).spec(), patch);
        yield store(order, before, document, validated(id, document));
      }
      case Operation.Delete() -> {
        checkPrecondition(order, existing(before));
        references.checkUnused(id);
        yield delete(order, existing(before));
      }
    };
  }

  private WriteOutcome store(
      WriteOrder order, @Nullable StoredResource before, ObjectNode document, ResourceSpec spec) {
    ResourceId id = order.id();
    references.checkConflicts(id, spec, before == null ? null : spec(before), Set.of());
    long number = log.next();
    StoredResource after = rows.write(id, document, spec, number, null);
    ObjectNode old = before == null ? null : before.spec();
    if (order.dryRun()) {
      return new WriteOutcome.Rehearsed(Difference.between(old, after.spec()));
    }
    log.append(new Change(number, id, order.actor(), old, after.spec()));
    return new WriteOutcome.Stored(after, before == null);
  }

  private WriteOutcome delete(WriteOrder order, StoredResource before) {
    rows.delete(order.id());
    if (order.dryRun()) {
      return new WriteOutcome.Rehearsed(Difference.between(before.spec(), null));
    }
    log.append(new Change(log.next(), order.id(), order.actor(), before.spec(), null));
    return new WriteOutcome.Deleted();
  }

  private ResourceSpec validated(ResourceId id, ObjectNode document) {
    ResourceSpec spec = json.read(id.kind(), document);
    List<FieldError> errors = new ArrayList<>(validator.check(spec));
    if (errors.isEmpty()) {
      errors.addAll(references.check(id, spec));
    }
    if (!errors.isEmpty()) {
      throw InvalidResourceException.of(errors);
    }
    return spec;
  }

  private static void checkPrecondition(WriteOrder order, @Nullable StoredResource before) {
    boolean holds =
        switch (order.precondition()) {
          case Precondition.Absent() -> before == null;
          case Precondition.Present() -> before != null;
          case Precondition.VersionIn(var versions) ->
              before != null && versions.contains(before.version());
          case Precondition.Unstated() -> {
            if (before != null && !order.dryRun()) {
              throw new RefusedException(
                  ProblemCode.PRECONDITION_REQUIRED,
                  "It exists: send If-Match with the ETag that you have read.");
            }
            yield true;
          }
        };
    if (!holds) {
      throw new RefusedException(
          ProblemCode.PRECONDITION_FAILED,
          before == null
              ? "It does not exist."
              : "It has changed, or exists although it should not: read it again.");
    }
  }

  private static StoredResource existing(@Nullable StoredResource resource) {
    if (resource == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such resource.");
    }
    return resource;
  }

  private void requireExists(ResourceId id) {
    existing(rows.find(id).orElse(null));
  }
}
