package io.valetkey.broker.policy;

/** Takes resources one by one while they are read. */
@FunctionalInterface
public interface RowHandler {

  /** Takes one resource. */
  void row(ResourceId id, long version, ResourceSpec spec);
}
