package io.valetkey.broker.control;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a question says of the request it is about. What it does not name is not known, and not
 * taken for absent.
 *
 * @param bodyless whether a request of its method has no body
 * @param sentQuery the query string, or null
 * @param headers the headers by name in any case, or null
 * @param sentBody the body, or null
 */
record QuestionFacts(
    boolean bodyless,
    @Nullable String sentQuery,
    @Nullable Map<String, String> headers,
    @Nullable RequestBody sentBody)
    implements RequestFacts {

  @Override
  public boolean knows(Part part) {
    return switch (part) {
      case QUERY -> sentQuery != null;
      case HEADERS -> headers != null;
      case BODY -> bodyless || sentBody != null;
      case IDENTITY -> true;
    };
  }

  @Override
  public Map<String, List<String>> sentHeaders(Set<String> hidden) {
    return headers == null
        ? Map.of()
        : headers.entrySet().stream()
            .filter(header -> !hidden.contains(name(header)))
            .collect(
                Collectors.groupingBy(
                    QuestionFacts::name,
                    Collectors.mapping(Map.Entry::getValue, Collectors.toList())));
  }

  private static String name(Map.Entry<String, String> header) {
    return header.getKey().toLowerCase(Locale.ROOT);
  }
}
