package io.valetkey.broker.declaration;

import io.valetkey.broker.policy.DeclaredDocuments;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads a declared set: as JSON one object with {@code managedBy} and {@code documents}, as YAML a
 * stream of documents, of which the first may be such an object and the others are resources.
 */
public final class SetReader {

  /** The largest set in bytes. */
  public static final int MAX_BYTES = 4 << 20;

  private final StrictJson json = new StrictJson(MAX_BYTES);
  private final StrictYaml yaml = new StrictYaml(MAX_BYTES);
  private final DeclaredDocuments documents;

  /** Reads resources by these rules. */
  public SetReader(DeclaredDocuments documents) {
    this.documents = documents;
  }

  /** What stands before the resources. */
  private record Header(@Nullable String managedBy, boolean prune, @Nullable Long generation) {}

  private static final Header NO_HEADER = new Header(null, true, null);

  /** One body, or one of several files. */
  private record Part(Header header, List<JsonNode> resources) {}

  /**
   * Reads JSON.
   *
   * @throws InvalidResourceException naming everything that is wrong with it
   */
  public DeclaredSet json(byte[] body) {
    return whole(part(List.of(json.object(body))));
  }

  /**
   * Reads YAML.
   *
   * @throws InvalidResourceException naming everything that is wrong with it
   */
  public DeclaredSet yaml(byte[] stream) {
    return whole(part(yaml.documents(stream)));
  }

  private DeclaredSet whole(Part part) {
    Header header = part.header();
    return new DeclaredSet(
        header.managedBy(),
        header.prune(),
        header.generation(),
        documents.read(part.resources()),
        List.of());
  }

  /**
   * Reads files that together are one set: nothing is pruned if one of them says so, and the
   * highest generation is that of the set.
   *
   * @param files contents by name; JSON where the name ends so, else YAML
   * @throws InvalidResourceException naming everything that is wrong, at pointers that begin with
   *     the file's name
   */
  DeclaredSet files(Map<String, byte[]> files) {
    List<FieldError> errors = new ArrayList<>();
    List<JsonNode> resources = new ArrayList<>();
    List<String> origins = new ArrayList<>();
    Header header = NO_HEADER;
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      String name = file.getKey();
      try {
        Part part = part(stated(name, file.getValue()));
        header = together(header, part.header());
        for (int i = 0; i < part.resources().size(); i++) {
          origins.add(name + "/documents/" + i);
        }
        resources.addAll(part.resources());
      } catch (InvalidResourceException e) {
        e.errors().forEach(error -> errors.add(error.below(name)));
      }
    }
    if (!errors.isEmpty()) {
      throw new InvalidResourceException(ProblemCode.INVALID_FIELD, errors);
    }
    try {
      return new DeclaredSet(
          header.managedBy(),
          header.prune(),
          header.generation(),
          documents.read(resources),
          origins);
    } catch (InvalidResourceException e) {
      throw new InvalidResourceException(e.code(), DeclaredSet.at(origins, e.errors()));
    }
  }

  private List<JsonNode> stated(String name, byte[] content) {
    return name.endsWith(".json") ? List.of(json.object(content)) : yaml.documents(content);
  }

  private static Header together(Header one, Header other) {
    if (one.managedBy() != null
        && other.managedBy() != null
        && !one.managedBy().equals(other.managedBy())) {
      throw new InvalidResourceException(
          ProblemCode.INVALID_FIELD,
          List.of(
              new FieldError(
                  "/managedBy", FieldError.INVALID_VALUE, "is not what another file says")));
    }
    Long generation = one.generation();
    if (generation == null || (other.generation() != null && other.generation() > generation)) {
      generation = other.generation();
    }
    return new Header(
        one.managedBy() == null ? other.managedBy() : one.managedBy(),
        one.prune() && other.prune(),
        generation);
  }

  private static Part part(List<JsonNode> stated) {
    if (stated.isEmpty() || !(stated.getFirst() instanceof ObjectNode first) || first.has("kind")) {
      return new Part(NO_HEADER, stated);
    }
    ObjectNode rest = first.deepCopy();
    List<JsonNode> resources = new ArrayList<>(inside(rest.remove("documents")));
    resources.addAll(stated.subList(1, stated.size()));
    return new Part(JsonFields.read(rest, SetReader::header), resources);
  }

  private static List<JsonNode> inside(@Nullable JsonNode documents) {
    if (documents == null || documents.isNull()) {
      return List.of();
    }
    if (!documents.isArray()) {
      throw new InvalidResourceException(
          ProblemCode.INVALID_FIELD,
          List.of(
              new FieldError("/documents", FieldError.WRONG_TYPE, "must be a list of objects")));
    }
    return List.copyOf(documents.values());
  }

  private static Header header(JsonFields fields) {
    String owner = fields.text("managedBy");
    if (owner != null && !ResourceId.isName(owner)) {
      fields.error(
          "managedBy",
          FieldError.INVALID_VALUE,
          "must be 1 to 63 lower-case letters, digits and hyphens, no hyphen first or last");
    }
    Boolean prune = fields.flag("prune");
    Integer generation = fields.integer("generation");
    if (generation != null && generation < 0) {
      fields.error("generation", FieldError.INVALID_VALUE, "must not be negative");
    }
    return new Header(
        owner, prune == null || prune, generation == null ? null : generation.longValue());
  }
}
