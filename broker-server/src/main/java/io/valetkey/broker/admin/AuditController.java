package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.control.AuditTrailQuery;
import io.valetkey.broker.control.UtcTime;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** Shows what happened. */
@RestController
@Hidden
class AuditController {

  private static final Set<String> OUTCOMES = Set.of("granted", "refused", "failed");

  private final AuditTrailQuery trail;

  AuditController(AuditTrailQuery trail) {
    this.trail = trail;
  }

  @GetMapping(AdminRoutes.BASE + "/audit")
  ResponseEntity<byte[]> list(HttpServletRequest http) {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters(
        "limit", "cursor", "agent", "destination", "outcome", "action", "since", "until");
    String outcome = text(request, "outcome");
    if (outcome != null && !OUTCOMES.contains(outcome)) {
      throw AdminRequest.invalid("The outcome must be granted, refused or failed.");
    }
    String since = request.parameter("since");
    String until = request.parameter("until");
    var filter =
        new AuditTrailQuery.Filter(
            text(request, "agent"),
            text(request, "destination"),
            outcome,
            text(request, "action"),
            since == null ? null : UtcTime.parse(since),
            until == null ? null : UtcTime.parse(until));
    AuditTrailQuery.Page page = trail.page(filter, request.limit(), request.parameter("cursor"));
    return JsonAnswers.ok(JsonAnswers.page(page.records(), page.next()));
  }

  @GetMapping(AdminRoutes.BASE + "/decisions/{id}")
  ResponseEntity<byte[]> decision(@PathVariable("id") String id, HttpServletRequest http) {
    new AdminRequest(http).allowParameters();
    if (!id.matches("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")) {
      throw notFound();
    }
    return JsonAnswers.ok(
        trail.decision(UUID.fromString(id)).orElseThrow(AuditController::notFound));
  }

  /** A name that no row can have would only make PostgreSQL complain. */
  private static @Nullable String text(AdminRequest request, String name) {
    String value = request.parameter(name);
    if (value != null && (value.isEmpty() || value.length() > 255 || value.indexOf('\0') >= 0)) {
      throw AdminRequest.invalid("The filter " + name + " must be 1 to 255 characters.");
    }
    return value;
  }

  private static RefusedException notFound() {
    return new RefusedException(ProblemCode.NOT_FOUND, "There is no record of such a decision.");
  }
}
