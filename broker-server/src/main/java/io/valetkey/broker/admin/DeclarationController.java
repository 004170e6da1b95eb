package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.declaration.PolicyFiles;
import io.valetkey.broker.declaration.YamlWriter;
import io.valetkey.broker.policy.PolicyExport;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.StoredResource;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ObjectNode;

/**
 * What people need who keep policies in files: what is there, its schema, and how a folder stands.
 */
@RestController
@Hidden
class DeclarationController {

  static final MediaType YAML = MediaType.valueOf(ApplyController.YAML);
  private static final ObjectNode SCHEMA = PolicySchema.make();

  private final PolicyExport export;
  private final @Nullable PolicyFiles files;

  DeclarationController(PolicyExport export, @Nullable PolicyFiles files) {
    this.export = export;
    this.files = files;
  }

  @GetMapping(AdminRoutes.BASE + "/export")
  ResponseEntity<byte[]> export(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("managedBy");
    String owner = request.parameter("managedBy");
    if (owner != null && !owner.isEmpty() && !ResourceId.isName(owner)) {
      throw AdminRequest.invalid("managedBy must be the name of an owner, or empty.");
    }
    List<ObjectNode> documents =
        export.of(owner).stream().map(DeclarationController::document).toList();
    ObjectNode set = JsonAnswers.object();
    if (owner != null && !owner.isEmpty()) {
      set.put("managedBy", owner);
    }
    if (!ApplyController.accepts(http, YAML)) {
      set.putArray("documents").addAll(documents);
      return JsonAnswers.ok(set);
    }
    return yaml(set, documents);
  }

  /** A set as a YAML stream: what stands before the resources, if anything, and they. */
  static ResponseEntity<byte[]> yaml(ObjectNode head, List<ObjectNode> documents) {
    List<ObjectNode> stream = new ArrayList<>(documents);
    if (!head.isEmpty()) {
      stream.addFirst(head);
    }
    return ResponseEntity.ok()
        .contentType(YAML)
        .header("Cache-Control", "no-store")
        .body(YamlWriter.write(stream).getBytes(StandardCharsets.UTF_8));
  }

  private static ObjectNode document(StoredResource resource) {
    ObjectNode document = JsonAnswers.object();
    document.put("kind", resource.id().kind().singular());
    document.put("name", resource.id().qualifiedName());
    document.set("spec", resource.spec());
    return document;
  }

  @GetMapping(AdminRoutes.BASE + "/schema")
  ResponseEntity<byte[]> schema(HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    return JsonAnswers.ok(SCHEMA);
  }

  @GetMapping(AdminRoutes.BASE + "/policy-files")
  ResponseEntity<byte[]> files(HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    if (files == null) {
      throw new RefusedException(
          ProblemCode.NOT_FOUND, "This replica looks into no folder of policy files.");
    }
    PolicyFiles.State state = files.state();
    ObjectNode answer = JsonAnswers.object();
    answer.put("managedBy", state.owner());
    answer.put("applied", state.applied());
    answer.put("digest", state.digest());
    answer.put("lastApplied", state.lastApplied() == null ? null : state.lastApplied().toString());
    PolicyFiles.Problem problem = state.problem();
    if (problem == null) {
      answer.putNull("problem");
    } else {
      ObjectNode why = answer.putObject("problem").put("code", problem.code().code());
      problem.details().forEach(why.putArray("details")::add);
    }
    return JsonAnswers.ok(answer);
  }
}
