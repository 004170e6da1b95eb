package io.valetkey.broker.admin;

import io.swagger.v3.core.util.Json31;
import io.swagger.v3.oas.models.OpenAPI;
import io.valetkey.broker.policy.ResourceKind;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.Objects;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The OpenAPI 3.1 description of the admin API: what is particular is written down in a file beside
 * this class, what all kinds of resources have in common is made here.
 */
final class ApiDescription {

  private static final String BASE = "openapi-base.json";

  private ApiDescription() {}

  /** The description, as springdoc serves it. */
  static OpenAPI openApi() {
    ObjectNode document = base();
    ObjectNode paths = (ObjectNode) document.get("paths");
    for (ResourceKind kind : ResourceKind.values()) {
      addPaths(paths, kind);
    }
    try {
      return Json31.mapper().readValue(document.toString(), OpenAPI.class);
    } catch (IOException e) {
      throw new IllegalStateException(BASE + " is not an OpenAPI document", e);
    }
  }

  /** What is written down in the file. */
  static ObjectNode base() {
    try (InputStream in = ApiDescription.class.getResourceAsStream(BASE)) {
      return (ObjectNode) JsonMapper.shared().readTree(Objects.requireNonNull(in));
    } catch (IOException e) {
      throw new IllegalStateException(BASE + " cannot be read", e);
    }
  }

  private static void addPaths(ObjectNode paths, ResourceKind kind) {
    boolean scope = kind == ResourceKind.SCOPE;
    String list =
        AdminRoutes.BASE + (scope ? "/destinations/{destination}/scopes" : "/" + kind.plural());
    ObjectNode all = paths.putObject(list);
    ObjectNode one = paths.putObject(list + "/{name}");
    if (scope) {
      parameter(all.putArray("parameters"), "destination");
    }
    ArrayNode shared = one.putArray("parameters");
    if (scope) {
      parameter(shared, "destination");
    }
    parameter(shared, "name");
    describeList(all, kind);
    describeGet(one, kind);
    describePut(one, kind);
    describePatch(one, kind);
    describeDelete(one, kind);
  }

  private static void describeList(ObjectNode path, ResourceKind kind) {
    ObjectNode operation =
        operation(path, "get", "list" + title(kind) + "s", kind, "Lists by name");
    ArrayNode parameters = operation.putArray("parameters");
    parameter(parameters, "limit");
    parameter(parameters, "cursor");
    ObjectNode schema = answer(operation, "200", "A page").putObject("schema");
    schema.put("type", "object").putArray("required").add("items").add("next");
    ObjectNode properties = schema.putObject("properties");
    stored(properties.putObject("items").put("type", "array").putObject("items"), kind);
    properties.putObject("next").put("$ref", "#/components/schemas/Next");
  }

  private static void describeGet(ObjectNode path, ResourceKind kind) {
    ObjectNode operation = operation(path, "get", "get" + title(kind), kind, "Reads one");
    storedAnswer(operation, "200", "It, with its ETag", kind);
  }

  private static void describePut(ObjectNode path, ResourceKind kind) {
    ObjectNode operation =
        operation(path, "put", "put" + title(kind), kind, "Creates or replaces one");
    operation.put("description", "Role admin. Replacing needs If-Match (428, 412).");
    writeParameters(operation).add(reference("parameters", "ifNoneMatch"));
    body(operation, "application/json", kind);
    storedAnswer(operation, "200", "Replaced; or, for a dry run, the changes", kind);
    storedAnswer(operation, "201", "Created", kind);
  }

  private static void describePatch(ObjectNode path, ResourceKind kind) {
    ObjectNode operation = operation(path, "patch", "patch" + title(kind), kind, "Changes one");
    operation.put("description", "Role admin. A merge patch (RFC 7396); needs If-Match.");
    writeParameters(operation);
    ObjectNode content = operation.putObject("requestBody").put("required", true);
    content
        .putObject("content")
        .putObject("application/merge-patch+json")
        .putObject("schema")
        .put("type", "object");
    storedAnswer(operation, "200", "Changed; or, for a dry run, the changes", kind);
  }

  private static void describeDelete(ObjectNode path, ResourceKind kind) {
    ObjectNode operation = operation(path, "delete", "delete" + title(kind), kind, "Deletes one");
    operation.put("description", "Role admin. Refused (409) while something refers to it.");
    writeParameters(operation);
    ObjectNode responses = (ObjectNode) operation.get("responses");
    responses.set("200", reference("responses", "Changes"));
    responses.putObject("204").put("description", "It is gone");
  }

  private static ObjectNode operation(
      ObjectNode path, String method, String id, ResourceKind kind, String summary) {
    ObjectNode operation = path.putObject(method).put("operationId", id).put("summary", summary);
    operation.putArray("tags").add(kind.plural());
    operation.putObject("responses").set("default", reference("responses", "Problem"));
    return operation;
  }

  private static ArrayNode writeParameters(ObjectNode operation) {
    ArrayNode parameters = operation.putArray("parameters");
    parameter(parameters, "dryRun");
    parameter(parameters, "ifMatch");
    return parameters;
  }

  private static void body(ObjectNode operation, String type, ResourceKind kind) {
    ObjectNode body = operation.putObject("requestBody").put("required", true);
    body.putObject("content").putObject(type).set("schema", reference("schemas", title(kind)));
  }

  private static void storedAnswer(
      ObjectNode operation, String status, String description, ResourceKind kind) {
    ObjectNode schema = answer(operation, status, description).putObject("schema");
    if (status.equals("200") && operation.has("requestBody")) {
      ArrayNode either = schema.putArray("oneOf");
      stored(either.addObject(), kind);
      either.add(reference("schemas", "Changes"));
    } else {
      stored(schema, kind);
    }
    ObjectNode answer = (ObjectNode) operation.get("responses").get(status);
    ObjectNode headers = answer.putObject("headers");
    headers.set("ETag", reference("headers", "ETag"));
    if (status.equals("201")) {
      headers.set("Location", reference("headers", "Location"));
    }
  }

  private static ObjectNode answer(ObjectNode operation, String status, String description) {
    ObjectNode responses = (ObjectNode) operation.get("responses");
    ObjectNode answer = responses.putObject(status).put("description", description);
    return answer.putObject("content").putObject("application/json");
  }

  private static void stored(ObjectNode schema, ResourceKind kind) {
    schema
        .putArray("allOf")
        .add(reference("schemas", title(kind)))
        .add(reference("schemas", "Stored"));
  }

  private static void parameter(ArrayNode parameters, String name) {
    parameters.add(reference("parameters", name));
  }

  private static ObjectNode reference(String section, String name) {
    return JsonAnswers.object().put("$ref", "#/components/" + section + "/" + name);
  }

  /** The name of a kind's schema. */
  static String title(ResourceKind kind) {
    StringBuilder title = new StringBuilder();
    for (String word : kind.singular().split("-", -1)) {
      title.append(word.substring(0, 1).toUpperCase(Locale.ROOT)).append(word.substring(1));
    }
    return title.toString();
  }
}
