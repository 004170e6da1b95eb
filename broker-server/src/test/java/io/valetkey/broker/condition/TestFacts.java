package io.valetkey.broker.condition;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** A request all of which is known, except perhaps its body. */
public record TestFacts(
    String sentQuery, Map<String, List<String>> headers, RequestBody sentBody, boolean bodyKnown)
    implements RequestFacts {

  private static final Map<String, List<String>> JSON =
      Map.of("content-type", List.of("application/json"));

  public static TestFacts withBody(String query, String json) {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    return new TestFacts(query, JSON, new RequestBody(bytes), true);
  }

  public static TestFacts withUnreadBody(String query) {
    return new TestFacts(query, JSON, null, false);
  }

  public static TestFacts withoutBody(String query) {
    return new TestFacts(query, Map.of(), null, true);
  }

  @Override
  public boolean knows(Part part) {
    return part != Part.BODY || bodyKnown;
  }

  @Override
  public Map<String, List<String>> sentHeaders(Set<String> hidden) {
    return headers.entrySet().stream()
        .filter(header -> !hidden.contains(header.getKey()))
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }
}
