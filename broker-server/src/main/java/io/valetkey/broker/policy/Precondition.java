package io.valetkey.broker.policy;

import java.util.Set;

/** The state that a writer expects a resource to be in (RFC 9110 section 13.1). */
public sealed interface Precondition {

  /** The writer said nothing: enough to create, not to replace, change or delete. */
  record Unstated() implements Precondition {}

  /** It must not exist ({@code If-None-Match: *}). */
  record Absent() implements Precondition {}

  /** It must exist, in whatever state ({@code If-Match: *}). */
  record Present() implements Precondition {}

  /**
   * It must exist in one of these versions ({@code If-Match}).
   *
   * @param versions the versions, possibly none that can exist
   */
  record VersionIn(Set<Long> versions) implements Precondition {}
}
