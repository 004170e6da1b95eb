package io.valetkey.broker.condition;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A request besides its method and path, as it will be sent and not as it came. Whoever asks for a
 * part looks first whether it is known.
 */
public interface RequestFacts {

  /** A request of which nothing else is known. */
  RequestFacts UNKNOWN = new NoFacts();

  /** Whether this part is known; one that is known not to be there is. */
  boolean knows(Part part);

  /** The query string, not decoded; null if there is none. */
  @Nullable String sentQuery();

  /**
   * The values of the header lines by lower-case name, each in order.
   *
   * @param hidden the lower-case names of lines that are not sent as they came
   */
  Map<String, List<String>> sentHeaders(Set<String> hidden);

  /** The body; null if there is none. */
  @Nullable RequestBody sentBody();
}
