package io.valetkey.broker.condition;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Nothing is known. */
record NoFacts() implements RequestFacts {

  @Override
  public boolean knows(Part part) {
    return false;
  }

  @Override
  public @Nullable String sentQuery() {
    return null;
  }

  @Override
  public Map<String, List<String>> sentHeaders(Set<String> hidden) {
    return Map.of();
  }

  @Override
  public @Nullable RequestBody sentBody() {
    return null;
  }
}
