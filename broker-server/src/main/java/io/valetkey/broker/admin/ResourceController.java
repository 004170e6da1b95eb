package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.ResourceKind;
import io.valetkey.broker.policy.ResourcePage;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.policy.WriteOrder;
import io.valetkey.broker.policy.WriteOrder.Operation;
import io.valetkey.broker.policy.WriteOutcome;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/** Reads and writes the resources of the policy, all kinds alike. */
@RestController
@Hidden
class ResourceController {

  private static final String ALL =
      AdminRoutes.BASE + "/{kind:issuers|agents|destinations|grants|signal-rules}";
  private static final String ONE = ALL + "/{name}";
  private static final String SCOPES = AdminRoutes.BASE + "/destinations/{destination}/scopes";
  private static final String SCOPE = SCOPES + "/{name}";
  private static final String MERGE_PATCH = "application/merge-patch+json";

  private final PolicyStore store;
  private final StrictJson json = new StrictJson();

  ResourceController(PolicyStore store) {
    this.store = store;
  }

  @GetMapping({ALL, SCOPES})
  ResponseEntity<byte[]> list(@PathVariable Map<String, String> path, HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("limit", "cursor");
    String destination = path.get("destination");
    if (destination != null && !ResourceId.isName(destination)) {
      throw notFound();
    }
    ResourcePage page =
        store.page(kind(path), destination, request.limit(), request.parameter("cursor"));
    return JsonAnswers.ok(
        JsonAnswers.page(page.items().stream().map(JsonAnswers::document).toList(), page.next()));
  }

  @GetMapping({ONE, SCOPE})
  ResponseEntity<byte[]> get(@PathVariable Map<String, String> path, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    return JsonAnswers.resource(
        store.get(existing(path)).orElseThrow(ResourceController::notFound), null);
  }

  @PutMapping(
      value = {ONE, SCOPE},
      consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> put(
      @PathVariable Map<String, String> path,
      @AuthenticationPrincipal Admin admin,
      HttpServletRequest http)
      throws IOException {
    if (!ResourceId.isName(String.valueOf(path.get("name")))) {
      throw AdminRequest.invalid(
          "A name has 1 to 63 lower-case letters, digits and hyphens, no hyphen first or last.");
    }
    return write(existing(path), new Operation.Put(body(http)), admin, http);
  }

  @PatchMapping(
      value = {ONE, SCOPE},
      consumes = {MERGE_PATCH, MediaType.APPLICATION_JSON_VALUE})
  ResponseEntity<byte[]> patch(
      @PathVariable Map<String, String> path,
      @AuthenticationPrincipal Admin admin,
      HttpServletRequest http)
      throws IOException {
    return write(existing(path), new Operation.Patch(body(http)), admin, http);
  }

  @DeleteMapping({ONE, SCOPE})
  ResponseEntity<byte[]> delete(
      @PathVariable Map<String, String> path,
      @AuthenticationPrincipal Admin admin,
      HttpServletRequest http) {
    return write(existing(path), new Operation.Delete(), admin, http);
  }

  private ResponseEntity<byte[]> write(
      ResourceId id, Operation operation, Admin admin, HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("dryRun");
    WriteOutcome outcome =
        store.write(
            new WriteOrder(
                id, operation, request.precondition(), admin.name(), request.isDryRun()));
    return switch (outcome) {
      case WriteOutcome.Stored(var resource, boolean created) ->
          JsonAnswers.resource(resource, created ? http.getRequestURI() : null);
      case WriteOutcome.Deleted() ->
          ResponseEntity.noContent().header("Cache-Control", "no-store").build();
      case WriteOutcome.Rehearsed(var changes) -> JsonAnswers.ok(JsonAnswers.changes(changes));
    };
  }

  private ObjectNode body(HttpServletRequest http) throws IOException {
    return new AdminRequest(http).body(json);
  }

  /** The resource that a path names; a name that none can have is never looked for. */
  private static ResourceId existing(Map<String, String> path) {
    String name = String.valueOf(path.get("name"));
    @Nullable String destination = path.get("destination");
    if (!ResourceId.isName(name) || (destination != null && !ResourceId.isName(destination))) {
      throw notFound();
    }
    return new ResourceId(kind(path), destination, name);
  }

  private static ResourceKind kind(Map<String, String> path) {
    String plural = path.get("kind");
    return Arrays.stream(ResourceKind.values())
        .filter(kind -> kind.plural().equals(plural))
        .findFirst()
        .orElse(ResourceKind.SCOPE);
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such resource.");
  }
}
