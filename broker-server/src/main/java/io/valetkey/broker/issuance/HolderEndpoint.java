package io.valetkey.broker.issuance;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.DecisionScope;
import io.valetkey.broker.telemetry.Trace;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What answers a token's holder: the audit record opens first, a refusal leaves its record before
 * anything is said, and whatever happens is counted.
 */
abstract class HolderEndpoint extends HttpServlet {

  private static final long serialVersionUID = 1L;
  private static final Logger log = LoggerFactory.getLogger(HolderEndpoint.class);

  private final transient AuditLog auditLog;
  private final transient EndpointTelemetry telemetry;

  HolderEndpoint(AuditLog auditLog, EndpointTelemetry telemetry) {
    this.auditLog = auditLog;
    this.telemetry = telemetry;
  }

  /** Under which action the request is recorded. */
  abstract String action(HttpServletRequest request);

  /**
   * Answers.
   *
   * @throws RefusedException if it is not what was asked for
   */
  abstract void answer(HttpServletRequest request, HttpServletResponse response, OpenRecord record)
      throws IOException;

  @Override
  protected final void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    OpenRecord record = auditLog.open(action(request));
    Trace trace = new Trace();
    try (var _ = DecisionScope.of(record.decisionId())) {
      ProblemCode reason = attempt(request, response, record);
      telemetry.ended(request, record, trace, reason);
    }
  }

  /** Says why it was not what was asked for; null if it was. */
  private @Nullable ProblemCode attempt(
      HttpServletRequest request, HttpServletResponse response, OpenRecord record)
      throws IOException {
    try {
      answer(request, response, record);
      return null;
    } catch (RefusedException e) {
      return refuse(record, response, e);
    } catch (RuntimeException e) {
      log.error("Decision {} failed", record.decisionId(), e);
      return refuse(record, response, new RefusedException(ProblemCode.INTERNAL, "Unexpected"));
    }
  }

  private ProblemCode refuse(
      OpenRecord record, HttpServletResponse response, RefusedException refusal)
      throws IOException {
    RefusedException said = auditLog.refuse(record, refusal);
    ProblemAnswer.send(response, said, record.decisionId());
    return said.code();
  }
}
