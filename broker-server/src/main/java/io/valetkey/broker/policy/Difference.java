package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * One place in which two versions of a document differ.
 *
 * @param path the place, as a JSON Pointer (RFC 6901)
 * @param before what was there, null if nothing
 * @param after what would be there, null if nothing
 */
public record Difference(String path, @Nullable JsonNode before, @Nullable JsonNode after) {

  /** Every difference, in the order of the documents; null stands for no document. */
  static List<Difference> between(@Nullable JsonNode before, @Nullable JsonNode after) {
    List<Difference> differences = new ArrayList<>();
    compare("", before, after, differences);
    return differences;
  }

  private static void compare(
      String path, @Nullable JsonNode before, @Nullable JsonNode after, List<Difference> found) {
    if (before instanceof ObjectNode left && after instanceof ObjectNode right) {
      Set<String> names = new LinkedHashSet<>(left.propertyNames());
      names.addAll(right.propertyNames());
      for (String name : names) {
        compare(FieldError.join(path, name), left.get(name), right.get(name), found);
      }
    } else if (before instanceof ArrayNode left && after instanceof ArrayNode right) {
      for (int i = 0; i < Math.max(left.size(), right.size()); i++) {
        compare(path + "/" + i, left.get(i), right.get(i), found);
      }
    } else if (before == null ? after != null : !before.equals(after)) {
      found.add(new Difference(path, before, after));
    }
  }
}
