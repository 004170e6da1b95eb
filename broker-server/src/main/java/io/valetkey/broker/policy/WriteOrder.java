package io.valetkey.broker.policy;

import tools.jackson.databind.node.ObjectNode;

/**
 * One change that somebody asks for by hand. Who owns the resource does not change by it.
 *
 * @param id which resource
 * @param operation what to do with it
 * @param precondition the state it is expected to be in
 * @param actor who asks, for the audit record
 * @param dryRun whether only the difference is wanted; then a precondition need not be stated
 */
public record WriteOrder(
    ResourceId id, Operation operation, Precondition precondition, String actor, boolean dryRun) {

  /** What to do. */
  public sealed interface Operation {

    /**
     * Creates or replaces.
     *
     * @param document the whole resource
     */
    record Put(ObjectNode document) implements Operation {}

    /**
     * Changes.
     *
     * @param patch a merge patch (RFC 7396)
     */
    record Patch(ObjectNode patch) implements Operation {}

    /** Deletes. */
    record Delete() implements Operation {}
  }
}
