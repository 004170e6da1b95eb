package io.valetkey.broker.policy;

import java.util.List;

/** What became of a {@link WriteOrder} that was not refused. */
public sealed interface WriteOutcome {

  /**
   * The resource is stored.
   *
   * @param resource the resource as it is now
   * @param created whether it did not exist before
   */
  record Stored(StoredResource resource, boolean created) implements WriteOutcome {}

  /** The resource is gone. */
  record Deleted() implements WriteOutcome {}

  /**
   * Nothing was changed.
   *
   * @param changes what would be
   */
  record Rehearsed(List<Difference> changes) implements WriteOutcome {}
}
