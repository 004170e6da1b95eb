package io.valetkey.broker.policy;

import tools.jackson.databind.node.ObjectNode;

/**
 * One resource as a declared set has it.
 *
 * @param id which one
 * @param document its fields, without nulls; not to be changed
 * @param spec the same, read
 */
public record DeclaredResource(ResourceId id, ObjectNode document, ResourceSpec spec) {}
