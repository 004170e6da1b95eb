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

  /**
   * Reads JSON.
   *
   * @throws InvalidResourceException naming everything that is wrong with it
   */
  public DeclaredSet json(byte[] body) {
    return read(List.of(json.object(body)));
  }

  /**
   * Reads YAML.
   *
   * @throws InvalidResourceException naming everything that is wrong with it
   */
  public DeclaredSet yaml(byte[] stream) {
    List<JsonNode> stated = yaml.documents(stream);
    return read(stated);
  }

  private DeclaredSet read(List<JsonNode> stated) {
    List<JsonNode> resources = new ArrayList<>(stated);
    Header header = NO_HEADER;
    if (!stated.isEmpty() && stated.getFirst() instanceof ObjectNode first && !first.has("kind")) {
      resources.removeFirst();
      header = header(first, resources);
    }
    return new DeclaredSet(
        header.managedBy(), header.prune(), header.generation(), documents.read(resources));
  }

  private static Header header(ObjectNode object, List<JsonNode> resources) {
    ObjectNode rest = object.deepCopy();
    JsonNode listed = rest.remove("documents");
    if (listed != null && !listed.isNull() && !listed.isArray()) {
      throw new InvalidResourceException(
          ProblemCode.INVALID_FIELD,
          List.of(
              new FieldError("/documents", FieldError.WRONG_TYPE, "must be a list of objects")));
    }
    if (listed != null && listed.isArray()) {
      List<JsonNode> inside = new ArrayList<>();
      listed.forEach(inside::add);
      resources.addAll(0, inside);
    }
    return JsonFields.read(rest, SetReader::header);
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
