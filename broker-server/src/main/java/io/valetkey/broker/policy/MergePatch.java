package io.valetkey.broker.policy;

import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** JSON Merge Patch (RFC 7396); Jackson 3 has none. */
final class MergePatch {

  private MergePatch() {}

  /** Applies a patch and changes neither argument (RFC 7396 section 2). */
  static JsonNode apply(JsonNode target, JsonNode patch) {
    if (!(patch instanceof ObjectNode fields)) {
      return patch;
    }
    ObjectNode result =
        target instanceof ObjectNode object
            ? object.deepCopy()
            : JsonNodeFactory.instance.objectNode();
    for (Map.Entry<String, JsonNode> field : fields.properties()) {
      if (field.getValue().isNull()) {
        result.remove(field.getKey());
      } else {
        JsonNode before = result.path(field.getKey());
        result.set(field.getKey(), apply(before, field.getValue()));
      }
    }
    return result;
  }
}
