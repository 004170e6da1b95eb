package io.valetkey.broker.issuance;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.telemetry.DecisionScope;
import io.valetkey.broker.telemetry.Trace;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.TokenSettings;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code POST /oauth2/token}: RFC 6749 section 3.2, with RFC 7523, RFC 8693, RFC 8705, RFC 8707 and
 * RFC 9449.
 *
 * <p>A plain servlet: what it reads, it reads from the body by itself, and nothing in between
 * merges the query into the parameters, follows a method override or renders an error page.
 */
final class TokenEndpoint extends HttpServlet {

  private static final long serialVersionUID = 1L;
  private static final Pattern NAME = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  private static final Logger log = LoggerFactory.getLogger(TokenEndpoint.class);

  private final transient IssueToken issueToken;
  private final transient AuditLog auditLog;
  private final transient DpopProofs proofs;
  private final transient TokenSettings settings;
  private final transient ClientCertificates certificates;
  private final transient EndpointTelemetry telemetry;

  TokenEndpoint(
      IssueToken issueToken,
      AuditLog auditLog,
      DpopProofs proofs,
      TokenSettings settings,
      ClientCertificates certificates,
      EndpointTelemetry telemetry) {
    this.certificates = certificates;
    this.telemetry = telemetry;
    this.issueToken = issueToken;
    this.auditLog = auditLog;
    this.proofs = proofs;
    this.settings = settings;
  }

  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    OpenRecord record = auditLog.open("token.issue");
    Trace trace = new Trace();
    try (var _ = DecisionScope.of(record.decisionId())) {
      ProblemCode reason = answer(request, response, record, trace);
      telemetry.ended(request, record, trace, reason);
    }
  }

  /** Answers, and says why it was not a token; null if it was one. */
  private @Nullable ProblemCode answer(
      HttpServletRequest request, HttpServletResponse response, OpenRecord record, Trace trace)
      throws IOException {
    TokenRequest.@Nullable Way way = null;
    try {
      requirePost(request, response);
      FormBody form = FormBody.read(request);
      List<X509Certificate> chain = certificates.of(request);
      way = wayOf(form, chain);
      TokenRequest tokenRequest = TokenRequest.of(form, chain, settings);
      record.destination(nameOrNull(tokenRequest.destination()));
      record.detail("way", tokenRequest.way().name().toLowerCase(Locale.ROOT));
      IssuedToken token =
          issueToken.issue(tokenRequest, keyThumbprint(request, tokenRequest.way()), record, trace);
      JsonAnswer.send(response, 200, document(tokenRequest, token));
      return null;
    } catch (RefusedException e) {
      return refuse(record, response, e, way);
    } catch (RuntimeException e) {
      log.error("Decision {} failed", record.decisionId(), e);
      return refuse(
          record, response, new RefusedException(ProblemCode.INTERNAL, "Unexpected"), way);
    }
  }

  /** What cannot be a name is not written down: it may be a secret in the wrong place. */
  private static @Nullable String nameOrNull(@Nullable String destination) {
    return destination != null && NAME.matcher(destination).matches() ? destination : null;
  }

  private static void requirePost(HttpServletRequest request, HttpServletResponse response) {
    if (!"POST".equals(request.getMethod())) {
      response.setHeader("Allow", "POST");
      throw new RefusedException(ProblemCode.METHOD_NOT_ALLOWED, "Only POST is supported");
    }
  }

  /** Known before the rest is checked, because it decides how a bad identity token is answered. */
  private static TokenRequest.@Nullable Way wayOf(FormBody form, List<X509Certificate> chain) {
    if (form.get("subject_token") != null) {
      return TokenRequest.Way.TOKEN_EXCHANGE;
    }
    return chain.isEmpty()
        ? TokenRequest.Way.CLIENT_CREDENTIALS
        : TokenRequest.Way.CLIENT_CERTIFICATE;
  }

  private @Nullable String keyThumbprint(HttpServletRequest request, TokenRequest.Way way) {
    List<String> headers = new ArrayList<>(Collections.list(request.getHeaders("DPoP")));
    if (headers.isEmpty()) {
      return null;
    }
    if (way == TokenRequest.Way.CLIENT_CERTIFICATE) {
      throw new RefusedException(
          ProblemCode.INVALID_REQUEST, "The token is bound to the certificate: no DPoP proof");
    }
    if (headers.size() > 1) {
      throw new RefusedException(ProblemCode.INVALID_DPOP_PROOF, "There is more than one proof");
    }
    String uri = settings.issuer() + OAuthPaths.TOKEN;
    return proofs.check(headers.getFirst(), request.getMethod(), uri, null);
  }

  private static Map<String, Object> document(TokenRequest request, IssuedToken token) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("access_token", token.value().reveal());
    if (request.way() == TokenRequest.Way.TOKEN_EXCHANGE) {
      answer.put("issued_token_type", request.issuedTokenType());
    }
    answer.put("token_type", token.type());
    answer.put("expires_in", token.expiresInSeconds());
    answer.put("scope", token.scope());
    return answer;
  }

  /** A refusal leaves its record first; if it cannot, nothing is said but that. */
  private ProblemCode refuse(
      OpenRecord record,
      HttpServletResponse response,
      RefusedException refusal,
      TokenRequest.@Nullable Way way)
      throws IOException {
    RefusedException said = auditLog.refuse(record, refusal);
    OAuthError.of(said.code(), said.detail(), way).send(response, record.decisionId());
    return said.code();
  }
}
