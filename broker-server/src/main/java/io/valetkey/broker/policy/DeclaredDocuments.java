package io.valetkey.broker.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads documents of the form {@code {kind, name, spec}}, by the same rules as single resources. A
 * scope is named {@code destination/scope}.
 */
public final class DeclaredDocuments {

  /** The most documents in one set. */
  public static final int MOST = 2000;

  private static final int MOST_ERRORS = 100;
  private static final Map<String, ResourceKind> KINDS = new LinkedHashMap<>();

  static {
    for (ResourceKind kind : ResourceKind.values()) {
      KINDS.put(kind.singular(), kind);
    }
  }

  private final ResourceJson json;
  private final ResourceValidator validator;

  /** Reads and checks with these. */
  public DeclaredDocuments(ResourceJson json, ResourceValidator validator) {
    this.json = json;
    this.validator = validator;
  }

  /**
   * Reads documents, in their order.
   *
   * @throws InvalidResourceException naming everything that is wrong with any of them, with
   *     pointers that begin with {@code /documents/} and the place in the list
   */
  public List<DeclaredResource> read(List<? extends JsonNode> documents) {
    if (documents.size() > MOST) {
      throw InvalidResourceException.of(
          List.of(
              new FieldError("/documents", FieldError.INVALID_VALUE, "must be at most " + MOST)));
    }
    List<FieldError> errors = new ArrayList<>();
    List<DeclaredResource> read = new ArrayList<>();
    Map<ResourceId, Integer> seen = new HashMap<>();
    for (int i = 0; i < documents.size() && errors.size() < MOST_ERRORS; i++) {
      String place = "/documents/" + i;
      DeclaredResource resource = read(documents.get(i), place, errors);
      if (resource != null) {
        Integer earlier = seen.putIfAbsent(resource.id(), i);
        if (earlier != null) {
          errors.add(
              new FieldError(
                  place + "/name",
                  FieldError.INVALID_VALUE,
                  "is declared by /documents/" + earlier + " already"));
        }
        read.add(resource);
      }
    }
    if (!errors.isEmpty()) {
      throw InvalidResourceException.of(errors.subList(0, Math.min(errors.size(), MOST_ERRORS)));
    }
    return read;
  }

  private @Nullable DeclaredResource read(JsonNode node, String place, List<FieldError> errors) {
    if (!(node instanceof ObjectNode document)) {
      errors.add(new FieldError(place, FieldError.WRONG_TYPE, "must be an object"));
      return null;
    }
    try {
      Envelope envelope = JsonFields.read(document, DeclaredDocuments::envelope);
      ObjectNode spec = (ObjectNode) MergePatch.apply(document.objectNode(), envelope.spec());
      ResourceSpec fields = read(envelope.id(), spec);
      return new DeclaredResource(envelope.id(), spec, fields);
    } catch (InvalidResourceException e) {
      e.errors().forEach(error -> errors.add(error.below(place)));
      return null;
    }
  }

  private ResourceSpec read(ResourceId id, ObjectNode document) {
    try {
      ResourceSpec spec = json.read(id.kind(), document);
      List<FieldError> errors = validator.check(spec);
      if (errors.isEmpty()) {
        return spec;
      }
      throw InvalidResourceException.of(errors);
    } catch (InvalidResourceException e) {
      throw InvalidResourceException.of(
          e.errors().stream().map(error -> error.below("/spec")).toList());
    }
  }

  private record Envelope(ResourceId id, ObjectNode spec) {}

  private static final Envelope NOTHING =
      new Envelope(ResourceId.of(ResourceKind.ISSUER, "none"), new StrictJson().empty());

  private static Envelope envelope(JsonFields fields) {
    String word = fields.requiredText("kind");
    String name = fields.requiredText("name");
    ObjectNode spec = fields.required("spec", fields.object("spec"), NOTHING.spec());
    ResourceKind kind = KINDS.get(word);
    if (kind == null) {
      fields.errorUnlessMissing("kind", "must be one of: " + String.join(", ", KINDS.keySet()));
      return NOTHING;
    }
    ResourceId id = ResourceId.parse(kind, name);
    if (id == null) {
      fields.errorUnlessMissing(
          "name",
          kind == ResourceKind.SCOPE
              ? "must be the names of destination and scope: destination/scope"
              : "must be 1 to 63 lower-case letters, digits and hyphens, no hyphen first or last");
      return NOTHING;
    }
    return new Envelope(id, spec);
  }
}
