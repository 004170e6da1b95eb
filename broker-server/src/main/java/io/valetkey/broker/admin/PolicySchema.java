package io.valetkey.broker.admin;

import io.valetkey.broker.policy.ResourceKind;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The JSON Schema (2020-12) of declared policies, for editors. It is made of the descriptions of
 * resources in the OpenAPI document, so that both say the same. Each document of a YAML stream is
 * valid by it, and so is a JSON body.
 */
final class PolicySchema {

  private static final String FROM = "#/components/schemas/";
  private static final String TO = "#/$defs/";

  private final ObjectNode described;
  private final ObjectNode definitions = JsonAnswers.object();

  private PolicySchema(ObjectNode described) {
    this.described = described;
  }

  /** The schema. */
  static ObjectNode make() {
    return new PolicySchema((ObjectNode) ApiDescription.base().at("/components/schemas")).schema();
  }

  private ObjectNode schema() {
    ObjectNode schema = JsonAnswers.object();
    schema.put("$schema", "https://json-schema.org/draft/2020-12/schema");
    schema.put("title", "Valetkey policy");
    schema.put("description", "A resource, or what stands before the resources of a set");
    schema.put("type", "object");
    schema.putObject("if").putArray("required").add("kind");
    schema.putObject("then").put("$ref", TO + "PolicyDocument");
    schema.putObject("else").put("$ref", TO + "PolicySet");
    define("PolicySet");
    addCases(define("PolicyDocument"));
    schema.set("$defs", definitions);
    return schema;
  }

  /** What the name and the spec of each kind must be. */
  private void addCases(ObjectNode document) {
    ArrayNode cases = document.putArray("allOf");
    for (ResourceKind kind : ResourceKind.values()) {
      String title = ApiDescription.title(kind);
      String name = kind == ResourceKind.SCOPE ? "ScopeName" : "Name";
      ObjectNode oneCase = cases.addObject();
      oneCase
          .putObject("if")
          .putObject("properties")
          .putObject("kind")
          .put("const", kind.singular());
      ObjectNode fields = oneCase.putObject("then").putObject("properties");
      fields.putObject("name").put("$ref", TO + name);
      fields.putObject("spec").put("$ref", TO + title);
      define(name);
      define(title).put("additionalProperties", false);
    }
  }

  /** Takes a description over, with all that it refers to. */
  private ObjectNode define(String name) {
    if (definitions.get(name) instanceof ObjectNode known) {
      return known;
    }
    ObjectNode definition = (ObjectNode) described.get(name).deepCopy();
    definitions.set(name, definition);
    relocate(definition);
    return definition;
  }

  private void relocate(JsonNode node) {
    if (node instanceof ObjectNode object && object.path("$ref").isString()) {
      String name = object.get("$ref").stringValue().substring(FROM.length());
      object.put("$ref", TO + name);
      define(name);
    }
    node.forEach(this::relocate);
  }
}
