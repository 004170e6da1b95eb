package io.valetkey.broker.issuance;

import io.valetkey.broker.access.Access;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.identity.IdentityVerifier;
import io.valetkey.broker.identity.VerifiedWorkload;
import io.valetkey.broker.policy.Agent;
import io.valetkey.broker.policy.PolicySnapshot;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.stop.StopView;
import io.valetkey.broker.token.AccessToken;
import io.valetkey.broker.token.AccessTokens;
import io.valetkey.broker.token.TokenSettings;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * {@code POST /oauth2/introspect} (RFC 7662), for resource servers that the operator registered by
 * the setting {@code valetkey.introspection}. A resource server is itself a workload: it proves who
 * it is by a client assertion, and sees only tokens for its own destinations.
 */
final class Introspection extends HttpServlet {

  private static final long serialVersionUID = 1L;

  private final transient IdentityVerifier identities;
  private final transient PolicyView policy;
  private final transient StopView stops;
  private final transient Access access;
  private final transient AccessTokens tokens;
  private final transient AuditLog auditLog;
  private final transient TokenSettings settings;
  private final transient Map<String, List<String>> destinationsByAgent;

  Introspection(
      IdentityVerifier identities,
      PolicyView policy,
      StopView stops,
      Access access,
      AccessTokens tokens,
      AuditLog auditLog,
      TokenSettings settings,
      Map<String, List<String>> destinationsByAgent) {
    this.identities = identities;
    this.policy = policy;
    this.stops = stops;
    this.access = access;
    this.tokens = tokens;
    this.auditLog = auditLog;
    this.settings = settings;
    this.destinationsByAgent = Map.copyOf(destinationsByAgent);
  }

  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    OpenRecord record = auditLog.open("token.introspect");
    try {
      if (!"POST".equals(request.getMethod())) {
        response.setHeader("Allow", "POST");
        throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "Only POST is supported");
      }
      FormBody form = FormBody.read(request);
      List<String> own = destinationsOf(form, record);
      Map<String, Object> answer = describe(form.require("token"), own);
      record.detail("active", String.valueOf(answer.get("active")));
      auditLog.await(record.granted(OpenRecord.ANY_EPOCH));
      JsonAnswer.send(response, 200, answer);
    } catch (RefusedException e) {
      refuse(record, response, e);
    }
  }

  private List<String> destinationsOf(FormBody form, OpenRecord record) {
    String assertion = form.get("client_assertion");
    if (assertion == null) {
      throw new RefusedException(ProblemCode.INVALID_CLIENT, "There is no client assertion");
    }
    VerifiedWorkload workload = identities.verify(assertion);
    if (workload.useOnce()) {
      throw new RefusedException(
          ProblemCode.INVALID_CLIENT, "Introspection needs an issuer whose tokens are reusable");
    }
    record.workload(workload.issuer(), workload.subject());
    PolicySnapshot snapshot = policy.current();
    List<String> agents =
        snapshot.agentsOf(workload.issuer(), workload.subject(), workload.claims());
    Agent server = agents.size() == 1 ? snapshot.agent(agents.getFirst()) : null;
    List<String> own = server == null ? null : destinationsByAgent.get(server.name());
    if (own == null) {
      throw new RefusedException(
          ProblemCode.INVALID_CLIENT, "The workload is not a registered resource server");
    }
    requireInForce(Objects.requireNonNull(server), workload);
    return own;
  }

  private void requireInForce(Agent server, VerifiedWorkload workload) {
    if (!server.enabled()) {
      throw new RefusedException(ProblemCode.AGENT_DISABLED, "The resource server is disabled");
    }
    if (stops.stopped(server.name(), workload.issuer(), null, Long.MAX_VALUE) != null) {
      throw new RefusedException(ProblemCode.STOPPED, "The resource server is stopped");
    }
  }

  /**
   * Active is what the gateway would take: a disabled agent's token is as dead as a stopped one.
   */
  private boolean stands(AccessToken token) {
    // Views that are too old say so here, instead of leaving it open.
    stops.epoch();
    policy.current();
    return access.stillStands(
        token.agent(), token.issuer(), token.jti(), token.epoch(), token.destination());
  }

  private Map<String, Object> describe(String compact, List<String> own) {
    try {
      AccessToken token = tokens.verify(compact);
      if (!own.contains(token.destination()) || !stands(token)) {
        return Map.of("active", false);
      }
      Map<String, Object> answer = new LinkedHashMap<>();
      answer.put("active", true);
      answer.put("iss", settings.issuer());
      answer.put("sub", token.workload());
      answer.put("client_id", token.agent());
      answer.put("aud", settings.audienceOf(token.destination()));
      answer.put("scope", String.join(" ", token.scopes()));
      answer.put("jti", token.jti());
      answer.put("iat", token.issuedAt().getEpochSecond());
      answer.put("exp", token.expiresAt().getEpochSecond());
      answer.put("token_type", token.keyThumbprint() == null ? "Bearer" : "DPoP");
      if (token.keyThumbprint() != null) {
        answer.put("cnf", Map.of("jkt", token.keyThumbprint()));
      }
      if (token.certificateThumbprint() != null) {
        answer.put("cnf", Map.of("x5t#S256", token.certificateThumbprint()));
      }
      return answer;
    } catch (RefusedException e) {
      if (e.code() != ProblemCode.INVALID_TOKEN) {
        throw e;
      }
      return Map.of("active", false);
    }
  }

  private void refuse(OpenRecord record, HttpServletResponse response, RefusedException refusal)
      throws IOException {
    RefusedException said = refusal;
    try {
      auditLog.await(record.refused(refusal.code(), refusal.detail()));
    } catch (RefusedException unavailable) {
      said = unavailable;
    }
    OAuthError.of(said.code(), said.detail(), null).send(response, record.decisionId());
  }
}
