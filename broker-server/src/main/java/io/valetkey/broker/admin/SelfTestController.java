package io.valetkey.broker.admin;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.lease.LeaseSelfTest;
import io.valetkey.broker.policy.Destination;
import io.valetkey.broker.policy.JsonFields;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.policy.StrictJson;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.util.List;
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

  private final LeaseSelfTest selfTest;
  private final PolicyView policy;
  private final AuditLog auditLog;
  private final StrictJson json = new StrictJson();

  SelfTestController(LeaseSelfTest selfTest, PolicyView policy, AuditLog auditLog) {
    this.selfTest = selfTest;
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
    String scope = scope(request, http);
    Destination destination = policy.current().destination(name);
    if (destination == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "There is no such destination.");
    }
    OpenRecord record = auditLog.open("admin.test");
    record.destination(name).detail("actor", admin.name());
    List<LeaseSelfTest.Step> steps = run(destination, scope, record);
    boolean failed = steps.stream().anyMatch(LeaseSelfTest.Step::failed);
    record.detail("failed_steps", steps.stream().filter(LeaseSelfTest.Step::failed).count());
    auditLog.await(
        failed
            ? record.failed(ProblemCode.CREDENTIAL_UNAVAILABLE, "The self-test failed")
            : record.granted(OpenRecord.ANY_EPOCH));
    return JsonAnswers.ok(document(failed, steps));
  }

  private List<LeaseSelfTest.Step> run(
      Destination destination, @Nullable String scope, OpenRecord record) {
    try {
      return selfTest.run(destination, scope);
    } catch (RefusedException e) {
      auditLog.await(record.refused(e.code(), e.detail()));
      throw e;
    }
  }

  /** The body may be left out. */
  private @Nullable String scope(AdminRequest request, HttpServletRequest http) throws IOException {
    boolean empty = http.getContentLengthLong() <= 0 && http.getHeader("Transfer-Encoding") == null;
    return empty ? null : JsonFields.read(request.body(json), fields -> fields.text("scope"));
  }

  private static ObjectNode document(boolean failed, List<LeaseSelfTest.Step> steps) {
    ObjectNode document = JsonAnswers.object().put("outcome", failed ? "failed" : "passed");
    ArrayNode list = document.putArray("steps");
    for (LeaseSelfTest.Step step : steps) {
      list.addObject()
          .put("step", step.step())
          .put("result", step.result())
          .put("detail", step.detail());
    }
    return document;
  }
}
