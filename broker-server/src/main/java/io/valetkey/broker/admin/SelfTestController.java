package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.lease.LeaseSelfTest;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.DestinationSpec.DestinationKind;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.upstream.SelfTestStep;
import io.valetkey.broker.upstream.SelfTests;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Tries a destination out, for real. */
@RestController
@Hidden
class SelfTestController {

  private static final Set<String> METHODS = Set.of("GET", "HEAD");

  private final LeaseSelfTest leased;
  private final SelfTests brokered;
  private final PolicyView policy;
  private final AuditLog auditLog;
  private final StrictJson json = new StrictJson();

  SelfTestController(
      LeaseSelfTest leased, SelfTests brokered, PolicyView policy, AuditLog auditLog) {
    this.leased = leased;
    this.brokered = brokered;
    this.policy = policy;
    this.auditLog = auditLog;
  }

  @PostMapping(AdminRoutes.BASE + "/destinations/{name}/test")
  ResponseEntity<byte[]> test(
      @PathVariable("name") String name,
      @AuthenticationPrincipal Admin admin,
      HttpServletRequest http)
      throws IOException {
    AdminRequest request = new AdminRequest(http);
    request.allowParameters();
    Wish wish = wish(request, http);
    Destination destination = policy.current().destination(name);
    if (destination == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such destination.");
    }
    boolean isBrokered = destination.kind() == DestinationKind.HTTP;
    wish.require(isBrokered);
    OpenRecord record = auditLog.open("admin.test");
    record.destination(name).detail("actor", admin.name());
    List<SelfTestStep> steps =
        isBrokered ? brokered(destination, wish, record) : leased(destination, wish, record);
    return JsonAnswers.ok(document(steps.stream().anyMatch(SelfTestStep::failed), steps));
  }

  /** Something of ours goes upstream, so that is on record first. */
  private List<SelfTestStep> brokered(Destination destination, Wish wish, OpenRecord record) {
    String method = wish.method() == null ? "GET" : wish.method();
    if (wish.path() != null) {
      record.detail("method", method).detail("path", wish.path());
    }
    auditLog.await(record.granted(OpenRecord.ANY_EPOCH));
    return brokered.run(destination.name(), method, wish.path());
  }

  private List<SelfTestStep> leased(Destination destination, Wish wish, OpenRecord record) {
    try {
      List<SelfTestStep> steps = leased.run(destination, wish.scope());
      long failed = steps.stream().filter(SelfTestStep::failed).count();
      record.detail("failed_steps", failed);
      auditLog.await(
          failed > 0
              ? record.failed(ProblemCode.CREDENTIAL_UNAVAILABLE, "The self-test failed")
              : record.granted(OpenRecord.ANY_EPOCH));
      return steps;
    } catch (RefusedException e) {
      auditLog.await(record.refused(e.code(), e.detail()));
      throw e;
    }
  }

  /** What to test: a scope of a leased destination, a request to a brokered one. */
  private record Wish(@Nullable String scope, @Nullable String method, @Nullable String path) {

    void require(boolean isBrokered) {
      if (isBrokered && scope != null) {
        throw AdminRequest.invalid("A brokered destination is tested by a path, not by a scope.");
      }
      if (!isBrokered && (path != null || method != null)) {
        throw AdminRequest.invalid("A leased destination is tested by a scope, not by a path.");
      }
      if (method != null && (path == null || !METHODS.contains(method))) {
        throw AdminRequest.invalid("The method must be GET or HEAD, and goes with a path.");
      }
      if (path != null && !path.startsWith("/")) {
        throw AdminRequest.invalid("The path must start with a slash.");
      }
    }
  }

  /** The body may be left out. */
  private Wish wish(AdminRequest request, HttpServletRequest http) throws IOException {
    boolean empty = http.getContentLengthLong() <= 0 && http.getHeader("Transfer-Encoding") == null;
    return empty
        ? new Wish(null, null, null)
        : JsonFields.read(
            request.body(json),
            fields -> new Wish(fields.text("scope"), fields.text("method"), fields.text("path")));
  }

  private static ObjectNode document(boolean failed, List<SelfTestStep> steps) {
    ObjectNode document = JsonAnswers.object().put("outcome", failed ? "failed" : "passed");
    ArrayNode list = document.putArray("steps");
    for (SelfTestStep step : steps) {
      list.addObject()
          .put("step", step.step())
          .put("result", step.result())
          .put("detail", step.detail());
    }
    return document;
  }
}
