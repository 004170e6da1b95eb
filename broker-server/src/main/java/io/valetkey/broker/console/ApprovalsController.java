package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.approval.Approval;
import io.valetkey.broker.approval.ApprovalDecisions;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.time.Clock;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Shows the requests that wait for somebody and takes decisions about them, each about what its
 * form showed. Nothing here needs a script.
 */
@RestController
@Hidden
class ApprovalsController {

  private static final String ONE = ConsoleRoutes.APPROVALS + "/{id}";

  private final ApprovalList approvals;
  private final ApprovalDecisions decisions;
  private final Pages pages;
  private final Clock clock;

  ApprovalsController(
      ApprovalList approvals, ApprovalDecisions decisions, Pages pages, Clock clock) {
    this.approvals = approvals;
    this.decisions = decisions;
    this.pages = pages;
    this.clock = clock;
  }

  /** Takes a decision; throws if it cannot be taken. */
  private interface Decision {
    Approval take(Approval about, String requestHash, String reason, String by);
  }

  @GetMapping(ConsoleRoutes.APPROVALS)
  ResponseEntity<byte[]> list(HttpServletRequest request) {
    String before = request.getParameter("before");
    return pages.page(
        "approvals.jte",
        pages.frame("Approvals", "approvals", Session.of(request)),
        Map.of(
            "waiting",
            approvals.waiting(before == null ? null : approvals.find(before)),
            "ended",
            approvals.ended(),
            "now",
            clock.instant()));
  }

  @GetMapping(ONE)
  ResponseEntity<byte[]> approval(@PathVariable("id") String id, HttpServletRequest request) {
    return page(200, approvals.find(id), "", request);
  }

  @PostMapping(ONE + "/approve")
  ResponseEntity<byte[]> approve(@PathVariable("id") String id, HttpServletRequest request) {
    return decide(
        id, request, (about, hash, reason, by) -> decisions.approve(about.id(), hash, reason, by));
  }

  @PostMapping(ONE + "/deny")
  ResponseEntity<byte[]> deny(@PathVariable("id") String id, HttpServletRequest request) {
    return decide(
        id, request, (about, hash, reason, by) -> decisions.deny(about.id(), hash, reason, by));
  }

  /** Whoever could not decide sees why, above the request as it is now. */
  private ResponseEntity<byte[]> decide(String id, HttpServletRequest request, Decision decision) {
    Approval about = approvals.find(id);
    try {
      Approval decided =
          decision.take(
              about,
              requestHash(request),
              FormReason.of(request),
              Session.of(request).admin().name());
      return Pages.to(ConsoleRoutes.APPROVALS + "/" + decided.id());
    } catch (RefusedException e) {
      return page(e.code().status(), approvals.find(id), e.detail(), request);
    }
  }

  private ResponseEntity<byte[]> page(
      int status, Approval approval, String problem, HttpServletRequest request) {
    return pages.page(
        status,
        "approval.jte",
        pages.frame("Approval", "approvals", Session.of(request)),
        Map.of(
            "shown",
            approvals.show(approval),
            "problem",
            problem,
            "status",
            status,
            "now",
            clock.instant()));
  }

  /** The hash of what the form's page showed. */
  private static String requestHash(HttpServletRequest request) {
    @Nullable String hash = request.getParameter("request_hash");
    if (hash == null || !hash.matches("[0-9a-f]{64}")) {
      throw new RefusedException(ProblemCode.INVALID_REQUEST, "The form is not one of ours.");
    }
    return hash;
  }
}
