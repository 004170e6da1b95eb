package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.approval.Approval;
import io.valetkey.broker.approval.ApprovalBook;
import io.valetkey.broker.approval.ApprovalDecisions;
import io.valetkey.broker.approval.ApprovalState;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.policy.FieldError;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Shows the requests that wait for somebody, and takes decisions about them. */
@RestController
@Hidden
class ApprovalController {

  static final String ALL = AdminRoutes.BASE + "/approvals";
  static final String ONE = ALL + "/{id}";

  private final ApprovalBook book;
  private final ApprovalDecisions decisions;
  private final StrictJson json = new StrictJson();

  ApprovalController(ApprovalBook book, ApprovalDecisions decisions) {
    this.book = book;
    this.decisions = decisions;
  }

  @GetMapping(ALL)
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters("limit", "cursor", "agent", "destination", "state");
    int limit = request.limit();
    PagePlace place = PagePlace.of(request);
    var filter =
        new ApprovalBook.Filter(
            request.name("agent"),
            request.name("destination"),
            state(request.parameter("state")),
            place.time(),
            place.id());
    List<Approval> found = book.list(filter, limit + 1);
    List<Approval> page = found.subList(0, Math.min(limit, found.size()));
    String next =
        found.size() > limit
            ? PagePlace.after(page.getLast().createdAt(), page.getLast().id())
            : null;
    return JsonAnswers.ok(
        JsonAnswers.page(page.stream().map(ApprovalController::summary).toList(), next));
  }

  @GetMapping(ONE)
  ResponseEntity<byte[]> get(@PathVariable("id") String id, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    Approval approval = book.find(parse(id)).orElseThrow(ApprovalController::notFound);
    ObjectNode document = summary(approval);
    ArrayNode fields = document.putArray("headers");
    approval
        .fields()
        .forEach(field -> fields.addObject().put("name", field.name()).put("value", field.value()));
    byte[] body = book.body(approval.id());
    String text = ApprovalBook.text(body);
    document.put("body", text == null ? null : text);
    return JsonAnswers.ok(
        document.put("bodyBase64", text == null ? Base64.getEncoder().encodeToString(body) : null));
  }

  @PostMapping(value = ONE + "/approve", consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> approve(
      @PathVariable("id") String id, @AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    Wish wish = wish(http);
    return JsonAnswers.ok(
        summary(decisions.approve(parse(id), wish.requestHash(), wish.reason(), admin.name())));
  }

  @PostMapping(value = ONE + "/deny", consumes = MediaType.APPLICATION_JSON_VALUE)
  ResponseEntity<byte[]> deny(
      @PathVariable("id") String id, @AuthenticationPrincipal Admin admin, HttpServletRequest http)
      throws IOException {
    Wish wish = wish(http);
    return JsonAnswers.ok(
        summary(decisions.deny(parse(id), wish.requestHash(), wish.reason(), admin.name())));
  }

  /** What somebody says about the request that they were shown. */
  private record Wish(String requestHash, String reason) {}

  private Wish wish(HttpServletRequest http) throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters();
    return JsonFields.read(request.body(json), ApprovalController::wish);
  }

  private static Wish wish(JsonFields fields) {
    String hash = fields.text("requestHash");
    if (hash == null) {
      hash = fields.required("requestHash", null, "");
    } else if (!hash.matches("[0-9a-f]{64}")) {
      fields.error("requestHash", FieldError.INVALID_VALUE, "must be the hash of what was shown");
    }
    return new Wish(hash, StopRequest.reason(fields));
  }

  private static ObjectNode summary(Approval approval) {
    ObjectNode document = JsonAnswers.object();
    document.put("id", approval.id().toString());
    document.put("state", approval.state().word());
    document.put("agent", approval.agent());
    document.put("issuer", approval.issuer());
    document.put("subject", approval.subject());
    document.put("jti", approval.jti());
    document.put("destination", approval.destination());
    document.put("scope", approval.scope());
    document.put("grant", approval.grant());
    document.put("requestHash", approval.requestHash());
    document.put("method", approval.method());
    document.put("url", approval.url());
    document.put("contentType", approval.contentType());
    document.put("bodySize", approval.bodySize());
    document.put("createdAt", approval.createdAt().toString());
    document.put("expiresAt", approval.expiresAt().toString());
    document.put("decidedBy", approval.decidedBy());
    document.put("decidedAt", text(approval.decidedAt()));
    document.put("reason", approval.reason());
    return document.put("endedAt", text(approval.endedAt()));
  }

  private static @Nullable String text(@Nullable Instant time) {
    return time == null ? null : time.toString();
  }

  private static @Nullable ApprovalState state(@Nullable String word) {
    if (word == null) {
      return null;
    }
    ApprovalState state = ApprovalState.of(word);
    if (state == null) {
      throw AdminRequest.invalid(
          "The state must be one of "
              + Arrays.stream(ApprovalState.values()).map(ApprovalState::word).toList()
              + ".");
    }
    return state;
  }

  private static UUID parse(String id) {
    UUID uuid = PagePlace.id(id);
    if (uuid == null) {
      throw notFound();
    }
    return uuid;
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no such approval.");
  }
}
