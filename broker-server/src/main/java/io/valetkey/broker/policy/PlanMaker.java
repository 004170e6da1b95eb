package io.valetkey.broker.policy;

import io.valetkey.broker.crypto.Sha256;
import io.valetkey.broker.policy.Plan.Action;
import io.valetkey.broker.policy.Plan.Step;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Compares a declared set with what is there. */
final class PlanMaker {

  /** More than an owner can have applied, several times over. */
  private static final int MOST_OWNED = 100_000;

  private static final int REVISION_DIGITS = 32;

  private static final Comparator<Step> ORDER =
      Comparator.<Step, ResourceKind>comparing(step -> step.id().kind())
          .thenComparing(step -> step.id().qualifiedName());

  private final PolicyRows rows;

  PlanMaker(PolicyRows rows) {
    this.rows = rows;
  }

  /**
   * The plan, as of the transaction that it is made in.
   *
   * @param asOf the last change there
   * @throws InvalidResourceException naming everything in the set that is not its owner's
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST} if it would delete everything
   */
  Plan make(ApplyOrder order, long asOf) {
    Map<ResourceId, StoredResource> owned = new LinkedHashMap<>();
    rows.ownedBy(order.owner(), MOST_OWNED).forEach(stored -> owned.put(stored.id(), stored));
    if (order.prune() && order.resources().isEmpty() && !owned.isEmpty() && !order.allowEmpty()) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST,
          "The set is empty and would delete all %d resources of %s: say allowEmpty=true."
              .formatted(owned.size(), order.owner()));
    }
    List<FieldError> errors = new ArrayList<>();
    List<Step> steps = new ArrayList<>();
    for (int i = 0; i < order.resources().size(); i++) {
      DeclaredResource declared = order.resources().get(i);
      StoredResource own = owned.remove(declared.id());
      StoredResource before = own == null ? rows.find(declared.id()).orElse(null) : own;
      if (own == null && before != null && !order.adopt()) {
        errors.add(notYours("/documents/" + i, before));
      }
      steps.add(step(declared, before, order.owner()));
    }
    if (!errors.isEmpty()) {
      throw InvalidResourceException.of(errors);
    }
    if (order.prune()) {
      owned
          .values()
          .forEach(gone -> steps.add(new Step(Action.DELETE, gone.id(), gone, null, null)));
    }
    steps.sort(ORDER);
    return new Plan(order.owner(), List.copyOf(steps), revision(order.owner(), steps), asOf);
  }

  private static Step step(
      DeclaredResource declared, @Nullable StoredResource before, String owner) {
    Action action;
    if (before == null) {
      action = Action.CREATE;
    } else if (owner.equals(before.managedBy()) && isSame(before.spec(), declared.document())) {
      action = Action.UNCHANGED;
    } else {
      action = Action.CHANGE;
    }
    return new Step(action, declared.id(), before, declared.document(), declared.spec());
  }

  /** PostgreSQL may have written a number in another form. */
  private static boolean isSame(JsonNode stored, JsonNode declared) {
    return stored.equals(
        (a, b) -> {
          if (a.isNumber() && b.isNumber()) {
            return a.decimalValue().compareTo(b.decimalValue());
          }
          return a.equals(b) ? 0 : 1;
        },
        declared);
  }

  private static FieldError notYours(String place, StoredResource before) {
    String whose =
        before.managedBy() == null ? "was made by hand" : "belongs to " + before.managedBy();
    return new FieldError(
        place + "/name",
        FieldError.NOT_YOURS,
        "exists and " + whose + ": say adopt=true to take it");
  }

  /** Versions are never used again, so they stand for everything that is there now. */
  private static String revision(String owner, List<Step> steps) {
    MessageDigest digest = Sha256.digest();
    digest.update(owner.getBytes(StandardCharsets.UTF_8));
    for (Step step : steps) {
      if (step.action() != Action.UNCHANGED) {
        String line =
            "\n%s %s %s %d %s"
                .formatted(
                    step.action(),
                    step.id().kind(),
                    step.id().qualifiedName(),
                    step.before() == null ? 0 : step.before().version(),
                    step.after());
        digest.update(line.getBytes(StandardCharsets.UTF_8));
      }
    }
    return HexFormat.of().formatHex(digest.digest()).substring(0, REVISION_DIGITS);
  }
}
