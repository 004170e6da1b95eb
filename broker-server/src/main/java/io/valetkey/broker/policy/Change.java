package io.valetkey.broker.policy;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * A change that is being stored.
 *
 * @param number its place in the change log
 * @param id which resource
 * @param actor who asked for it
 * @param before the resource before, null if it is created
 * @param after the resource after, null if it is deleted
 */
public record Change(
    long number,
    ResourceId id,
    String actor,
    @Nullable ObjectNode before,
    @Nullable ObjectNode after) {}
