package io.valetkey.broker.issuance;

import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.AuditRecord.Outcome;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopTarget;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;

/**
 * {@code POST /oauth2/revoke} (RFC 7009): whoever holds an access token may end it. The answer is
 * the same whether or not it was one.
 */
final class Revocation extends HttpServlet {

  private static final long serialVersionUID = 1L;

  private final transient AccessTokens tokens;
  private final transient StopStore stops;
  private final transient StopView view;
  private final transient RateLimits limits;
  private final transient AuditLog auditLog;

  Revocation(
      AccessTokens tokens, StopStore stops, StopView view, RateLimits limits, AuditLog auditLog) {
    this.tokens = tokens;
    this.stops = stops;
    this.view = view;
    this.limits = limits;
    this.auditLog = auditLog;
  }

  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    OpenRecord record = auditLog.open("token.revoke");
    try {
      revoke(token(request, response, record), record);
      JsonAnswer.send(response, 200, Map.of());
    } catch (RefusedException e) {
      OAuthError.of(e.code(), e.detail(), null).send(response, record.decisionId());
    }
  }

  /** What is no revocation at all leaves its record too. */
  private String token(HttpServletRequest request, HttpServletResponse response, OpenRecord record)
      throws IOException {
    try {
      if (!"POST".equals(request.getMethod())) {
        response.setHeader("Allow", "POST");
        throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "Only POST is supported");
      }
      return FormBody.read(request).require("token");
    } catch (RefusedException e) {
      auditLog.await(record.refused(e.code(), e.detail()));
      throw e;
    }
  }

  private void revoke(String compact, OpenRecord record) {
    AccessToken token;
    try {
      token = tokens.verify(compact);
    } catch (RefusedException e) {
      auditLog.await(record.refused(e.code(), e.detail()));
      return;
    }
    record.agent(token.agent()).workload(token.issuer(), token.subject());
    record.destination(token.destination()).jti(token.jti());
    boolean ended = view.stopped(token.agent(), token.issuer(), token.jti(), token.epoch()) != null;
    if (ended || !limits.takeRevocation(token.agent())) {
      auditLog.await(
          record.refused(
              ended ? ProblemCode.STOPPED : ProblemCode.RATE_LIMITED,
              ended ? "The token is stopped already" : "The agent revokes too many tokens"));
      if (!ended) {
        throw new RefusedException(
            ProblemCode.RATE_LIMITED, "The agent revokes too many tokens; let them end");
      }
      return;
    }
    stops.order(
        new StopTarget(StopTarget.Kind.TOKEN, token.jti()),
        "Revoked by its holder",
        null,
        "agent:" + token.agent(),
        record.completed(Outcome.GRANTED, null));
  }
}
