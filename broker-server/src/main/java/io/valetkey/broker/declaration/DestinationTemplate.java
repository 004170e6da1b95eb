package io.valetkey.broker.declaration;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * A ready-made destination: a provider's origin, slot and sensible scopes, and what its SDKs must
 * be told. Filled in, it is a declared set that can be applied as it is.
 */
public final class DestinationTemplate {

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /**
   * What somebody must say before the template is a destination.
   *
   * @param name what it is called in {@code ${…}}
   * @param about what it is, half a sentence
   * @param example a value that it may have
   * @param pattern what every value must match as a whole
   */
  public record Parameter(String name, String about, String example, Pattern pattern) {}

  /**
   * A request that no scope of the template allows, on purpose.
   *
   * @param method the method
   * @param path the path
   * @param why half a sentence
   */
  public record LeftOut(String method, String path, String why) {}

  private final String name;
  private final ObjectNode written;

  private DestinationTemplate(String name, ObjectNode written) {
    this.name = name;
    this.written = written;
  }

  static DestinationTemplate load(String name) {
    String file = "templates/" + name + ".json";
    try (InputStream in = DestinationTemplate.class.getResourceAsStream(file)) {
      return new DestinationTemplate(
          name, (ObjectNode) JSON.readTree(Objects.requireNonNull(in, file)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Its name, which is the destination's unless somebody gives another. */
  public String name() {
    return name;
  }

  /** What people call the provider. */
  public String title() {
    return written.get("title").stringValue();
  }

  /** Whether the credential is one text; else the destination itself names the fields it takes. */
  public boolean takesOneField() {
    JsonNode destination = written.get("destination");
    return !destination.has("slots") && !destination.has("signing");
  }

  /** What must be said before it can be filled in; often nothing. */
  public List<Parameter> parameters() {
    return written
        .path("parameters")
        .valueStream()
        .map(one ->
            new Parameter(
                text(one, "name"),
                text(one, "about"),
                text(one, "example"),
                Pattern.compile(text(one, "pattern"))))
        .toList();
  }

  /**
   * The destination and its scopes as documents of a declared set.
   *
   * @param destination the destination's name
   * @param credential the destination's {@code credential}
   * @param values a value for each parameter
   */
  public List<ObjectNode> documents(
      String destination, ObjectNode credential, Map<String, String> values) {
    List<ObjectNode> documents = new ArrayList<>();
    ObjectNode spec = filled(written.get("destination"), values).asObject();
    spec.set("credential", credential);
    documents.add(document("destination", destination, spec));
    for (var scope : written.get("scopes").properties()) {
      ObjectNode rules = NODES.objectNode();
      rules.set("allow", filled(scope.getValue(), values));
      documents.add(document("scope", destination + "/" + scope.getKey(), rules));
    }
    return documents;
  }

  /** Requests that its scopes do not allow, on purpose. */
  public List<LeftOut> leftOut(Map<String, String> values) {
    return filled(written.get("leftOut"), values)
        .valueStream()
        .map(one -> new LeftOut(text(one, "method"), text(one, "path"), text(one, "why")))
        .toList();
  }

  /**
   * What SDKs and programs must be told, as a list of {@code client}, {@code kind} ({@code
   * environment} or {@code argument}) and {@code settings}.
   *
   * @param gateway the gateway's public address
   * @param destination the destination's name
   * @param token what stands for the access token
   */
  public ArrayNode clients(String gateway, String destination, String token) {
    return filled(
            written.get("clients"),
            Map.of("gateway", gateway, "destination", destination, "token", token))
        .asArray();
  }

  private static ObjectNode document(String kind, String name, ObjectNode spec) {
    ObjectNode document = NODES.objectNode().put("kind", kind).put("name", name);
    document.set("spec", spec);
    return document;
  }

  private static JsonNode filled(JsonNode node, Map<String, String> values) {
    return switch (node) {
      case ObjectNode object -> {
        ObjectNode copy = NODES.objectNode();
        object
            .properties()
            .forEach(field ->
                copy.set(filled(field.getKey(), values), filled(field.getValue(), values)));
        yield copy;
      }
      case ArrayNode array -> {
        ArrayNode copy = NODES.arrayNode();
        array.forEach(element -> copy.add(filled(element, values)));
        yield copy;
      }
      case StringNode string -> NODES.stringNode(filled(string.stringValue(), values));
      default -> node;
    };
  }

  /** Every place is found in what was written: what a value holds is never a place. */
  private static String filled(String text, Map<String, String> values) {
    StringBuilder filled = new StringBuilder();
    int end = 0;
    for (int place = text.indexOf("${"); place >= 0; place = text.indexOf("${", end)) {
      filled.append(text, end, place);
      end = text.indexOf('}', place) + 1;
      String parameter = text.substring(place + 2, end - 1);
      filled.append(Objects.requireNonNull(values.get(parameter), parameter));
    }
    return filled.append(text, end, text.length()).toString();
  }

  private static String text(JsonNode node, String field) {
    return node.get(field).stringValue();
  }
}
