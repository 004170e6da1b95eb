package io.valetkey.broker.policy;

import java.time.Instant;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;

/**
 * A resource as it is stored.
 *
 * @param id which one
 * @param spec the fields as they were written, without defaults; not to be changed
 * @param version grows with each change, and is never used again, not even after a deletion
 * @param managedBy what keeps it as it is, for example a declarative file; null for the API
 * @param createdAt when it was created
 * @param updatedAt when it was last written
 */
public record StoredResource(
    ResourceId id,
    ObjectNode spec,
    long version,
    @Nullable String managedBy,
    Instant createdAt,
    Instant updatedAt) {}
