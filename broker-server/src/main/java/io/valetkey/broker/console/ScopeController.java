package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.policy.Difference;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.InvalidResourceException;
import io.valetkey.broker.policy.PolicyStore;
import io.valetkey.broker.policy.Precondition;
import io.valetkey.broker.policy.ResourceId;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.policy.StoredResource;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.policy.WriteOrder;
import io.valetkey.broker.policy.WriteOutcome;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Changes a scope: first the difference, which changes nothing, then the change, which is refused
 * if somebody else was quicker.
 */
@RestController
@Hidden
class ScopeController {

  private static final String ALL = ConsoleRoutes.DESTINATIONS + "/{name}/scopes";
  private static final String ONE = ALL + "/{scope}";
  private static final JsonMapper JSON = JsonMapper.shared();

  private final PolicyStore store;
  private final Pages pages;
  private final StrictJson strictJson = new StrictJson();

  ScopeController(PolicyStore store, Pages pages) {
    this.store = store;
    this.pages = pages;
  }

  /** One difference, as text; an empty side is not there. */
  record Changed(String path, String before, String after) {
    static Changed of(Difference difference) {
      return new Changed(difference.path(), text(difference.before()), text(difference.after()));
    }

    private static String text(@Nullable JsonNode node) {
      return node == null ? "" : node.toString();
    }
  }

  /**
   * What the page shows.
   *
   * @param version the version that is edited; 0 if there is none yet
   * @param problems why it was not accepted
   * @param changes what it would change; empty before somebody asked
   * @param previewed whether somebody asked
   */
  record Draft(
      ResourceId id,
      String text,
      long version,
      List<String> problems,
      List<Changed> changes,
      boolean previewed) {}

  /** Leads to a scope by its name, which may be new. */
  @GetMapping(ALL)
  ResponseEntity<byte[]> named(@PathVariable("name") String name, HttpServletRequest request) {
    String scope = request.getParameter("scope");
    if (!ResourceId.isName(name) || scope == null || !ResourceId.isName(scope)) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "This is not a name that a scope could have.");
    }
    return Pages.to(ConsoleRoutes.DESTINATIONS + "/" + name + "/scopes/" + scope);
  }

  @GetMapping(ONE)
  ResponseEntity<byte[]> edit(
      @PathVariable("name") String name,
      @PathVariable("scope") String scope,
      HttpServletRequest request) {
    ResourceId id = id(name, scope);
    Optional<StoredResource> stored = store.get(id);
    ObjectNode spec =
        stored.map(resource -> resource.spec().deepCopy()).orElseGet(strictJson::empty);
    String method = request.getParameter("method");
    String path = request.getParameter("path");
    if (method != null && path != null && method.matches("[A-Z]{1,20}") && path.length() <= 2000) {
      ObjectNode rule = spec.withArrayProperty("allow").addObject();
      boolean webSocket = method.equals(ScopeRules.WEB_SOCKET);
      rule.putArray("methods").add(webSocket ? "GET" : method);
      // What an agent asked for is a path and no pattern: its star stands for itself.
      rule.putArray("paths").add(path.replace("*", "%2A"));
      if (webSocket) {
        rule.put("webSocket", true);
      }
    }
    long version = stored.map(StoredResource::version).orElse(0L);
    return page(
        200,
        new Draft(
            id,
            JSON.writerWithDefaultPrettyPrinter().writeValueAsString(spec),
            version,
            List.of(),
            List.of(),
            false),
        request);
  }

  @PostMapping(ONE)
  ResponseEntity<byte[]> change(
      @PathVariable("name") String name,
      @PathVariable("scope") String scope,
      HttpServletRequest request) {
    ResourceId id = id(name, scope);
    String text = String.valueOf(request.getParameter("spec"));
    long version = version(request.getParameter("version"));
    boolean preview = !"apply".equals(request.getParameter("do"));
    try {
      ObjectNode spec = strictJson.object(text.getBytes(StandardCharsets.UTF_8));
      Precondition expected =
          version == 0 ? new Precondition.Absent() : new Precondition.VersionIn(Set.of(version));
      WriteOutcome outcome =
          store.write(
              new WriteOrder(
                  id,
                  new WriteOrder.Operation.Put(spec),
                  expected,
                  Session.of(request).admin().name(),
                  preview));
      if (outcome instanceof WriteOutcome.Rehearsed(var changes)) {
        List<Changed> shown = changes.stream().map(Changed::of).toList();
        return page(200, new Draft(id, text, version, List.of(), shown, true), request);
      }
      return Pages.to(ConsoleRoutes.DESTINATIONS + "/" + name);
    } catch (RefusedException e) {
      return page(
          e.code().status(), new Draft(id, text, version, problems(e), List.of(), false), request);
    }
  }

  private static List<String> problems(RefusedException e) {
    List<String> problems = new ArrayList<>();
    if (e.code() == ProblemCode.PRECONDITION_FAILED) {
      problems.add("Somebody else changed it meanwhile. Open it again and repeat your change.");
    } else {
      problems.add(e.detail());
    }
    if (e instanceof InvalidResourceException invalid) {
      for (FieldError error : invalid.errors()) {
        problems.add(error.pointer() + " " + error.detail());
      }
    }
    return problems;
  }

  private ResponseEntity<byte[]> page(int status, Draft draft, HttpServletRequest request) {
    return pages.page(
        status,
        "scope.jte",
        pages.frame(draft.id().name(), "destinations", Session.of(request)),
        Map.of("draft", draft));
  }

  private static long version(@Nullable String text) {
    if (text == null || !text.matches("0|[1-9][0-9]{0,17}")) {
      throw new RefusedException(ProblemCode.INVALID_REQUEST, "The form is not one of ours.");
    }
    return Long.parseLong(text);
  }

  private static ResourceId id(String destination, String scope) {
    if (!ResourceId.isName(destination) || !ResourceId.isName(scope)) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such scope.");
    }
    return ResourceId.scope(destination, scope);
  }
}
