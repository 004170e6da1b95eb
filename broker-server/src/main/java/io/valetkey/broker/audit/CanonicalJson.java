package io.valetkey.broker.audit;

import java.math.BigDecimal;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.util.RawValue;

/**
 * One text for all spellings of a JSON value that PostgreSQL's {@code jsonb} holds to be the same:
 * members sorted by name, no white space, numbers without trailing zeros.
 */
final class CanonicalJson {

  private static final JsonMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS).build();

  private CanonicalJson() {}

  /** The text of an object of Java. */
  static String of(Map<String, Object> value) {
    return value.isEmpty() ? "{}" : text(JSON.valueToTree(value));
  }

  /** The text of what was read from the database. */
  static String ofText(String json) {
    return text(JSON.readTree(json));
  }

  private static String text(JsonNode node) {
    return JSON.writeValueAsString(sorted(node));
  }

  private static JsonNode sorted(JsonNode node) {
    JsonNodeFactory nodes = JsonNodeFactory.instance;
    if (node.isObject()) {
      var members = new TreeMap<String, JsonNode>();
      node.properties()
          .forEach(e -> members.put(StorableText.of(e.getKey()), sorted(e.getValue())));
      return nodes.objectNode().setAll(members);
    }
    if (node.isArray()) {
      var array = nodes.arrayNode();
      node.values().forEach(v -> array.add(sorted(v)));
      return array;
    }
    if (node.isString()) {
      return nodes.stringNode(StorableText.of(node.stringValue()));
    }
    return node.isNumber() ? nodes.rawValueNode(number(node.decimalValue())) : node;
  }

  private static RawValue number(BigDecimal value) {
    return new RawValue(value.stripTrailingZeros().toString());
  }
}
