package io.valetkey.broker.gateway;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A request whose body was read: nothing of it is unknown any more.
 *
 * @param head everything but the body
 * @param sentBody the body
 */
record FactsWithBody(Guard.Accepted head, RequestBody sentBody) implements RequestFacts {

  @Override
  public boolean knows(Part part) {
    return true;
  }

  @Override
  public @Nullable String sentQuery() {
    return head.sentQuery();
  }

  @Override
  public Map<String, List<String>> sentHeaders(Set<String> hidden) {
    return head.sentHeaders(hidden);
  }
}
