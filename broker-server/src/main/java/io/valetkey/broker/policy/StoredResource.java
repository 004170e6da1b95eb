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
 * @param managedBy the owner of the declared set that it belongs to; null if it was made by hand
 * @param appliedVersion the version that its owner's last apply wrote; 0 if there was none
 * @param createdAt when it was created
 * @param updatedAt when it was last written
 */
public record StoredResource(
    ResourceId id,
    ObjectNode spec,
    long version,
    @Nullable String managedBy,
    long appliedVersion,
    Instant createdAt,
    Instant updatedAt) {

  /** Whether somebody changed it by hand since its owner applied it. */
  public boolean hasDrifted() {
    return managedBy != null && version != appliedVersion;
  }
}
