package io.valetkey.broker.policy;

import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * What applying a declared set changes.
 *
 * @param owner whose set it is
 * @param steps one for each resource of the set and for each that goes, in an order in which they
 *     could be made one by one
 * @param revision names exactly these changes of exactly what is there; another one if anything
 *     that the plan is about is written in between
 * @param asOf the last change in the change log that the plan knows
 */
public record Plan(String owner, List<Step> steps, String revision, long asOf) {

  /** What happens to a resource. */
  public enum Action {
    CREATE,
    CHANGE,
    DELETE,
    UNCHANGED
  }

  /**
   * What happens to one resource.
   *
   * @param action what
   * @param id which one
   * @param before what is there, null if nothing
   * @param after what will be there, null if nothing
   * @param spec the same, read
   */
  public record Step(
      Action action,
      ResourceId id,
      @Nullable StoredResource before,
      @Nullable ObjectNode after,
      @Nullable ResourceSpec spec) {

    /** The differences between what is there and what will be. */
    public List<Difference> differences() {
      return Difference.between(before == null ? null : before.spec(), after);
    }

    /** Whether it was changed by hand since its owner applied it. */
    public boolean hasDrifted() {
      return before != null && before.hasDrifted();
    }

    /** Whether it becomes the owner's only now, although it was there before. */
    public boolean isAdopted(String owner) {
      return before != null && !owner.equals(before.managedBy());
    }
  }

  /** How many resources have this fate. */
  public long count(Action action) {
    return steps.stream().filter(step -> step.action() == action).count();
  }

  /** The steps that change something. */
  public List<Step> changes() {
    return steps.stream().filter(step -> step.action() != Action.UNCHANGED).toList();
  }
}
