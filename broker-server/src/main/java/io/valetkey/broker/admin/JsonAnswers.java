package io.valetkey.broker.admin;

import io.valetkey.broker.policy.Difference;
import io.valetkey.broker.policy.StoredResource;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The shapes of the admin API's answers. */
final class JsonAnswers {

  private static final JsonMapper JSON = JsonMapper.shared();

  private JsonAnswers() {}

  static ResponseEntity<byte[]> ok(JsonNode body) {
    return answer(ResponseEntity.ok(), body);
  }

  /** A resource with its ETag; with its place if it is new. */
  static ResponseEntity<byte[]> resource(StoredResource resource, @Nullable String createdAt) {
    var answer =
        createdAt == null
            ? ResponseEntity.ok()
            : ResponseEntity.status(HttpStatus.CREATED).header("Location", createdAt);
    return answer(answer.eTag("\"" + resource.version() + "\""), document(resource));
  }

  static ResponseEntity<byte[]> answer(ResponseEntity.BodyBuilder answer, JsonNode body) {
    return answer
        .contentType(MediaType.APPLICATION_JSON)
        .header("Cache-Control", "no-store")
        .body(JSON.writeValueAsBytes(body));
  }

  /** The stored fields, and what the server knows about them. */
  static ObjectNode document(StoredResource resource) {
    ObjectNode document = object();
    document.put("name", resource.id().name());
    document.setAll(resource.spec());
    document.put("createdAt", resource.createdAt().toString());
    document.put("updatedAt", resource.updatedAt().toString());
    document.put("managedBy", resource.managedBy());
    return document;
  }

  static ObjectNode page(List<? extends JsonNode> items, @Nullable String next) {
    ObjectNode page = object();
    page.putArray("items").addAll(items);
    page.put("next", next);
    return page;
  }

  static ObjectNode changes(List<Difference> differences) {
    ObjectNode answer = object();
    answer.set("changes", list(differences));
    return answer;
  }

  static ArrayNode list(List<Difference> differences) {
    ArrayNode changes = JsonNodeFactory.instance.arrayNode();
    for (Difference difference : differences) {
      changes
          .addObject()
          .put("path", difference.path())
          .set("before", orNull(difference.before()))
          .asObject()
          .set("after", orNull(difference.after()));
    }
    return changes;
  }

  static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  private static JsonNode orNull(@Nullable JsonNode node) {
    return node == null ? JsonNodeFactory.instance.nullNode() : node;
  }
}
