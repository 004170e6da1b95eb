package io.valetkey.broker.console;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.Route;
import io.valetkey.broker.problem.ProblemCode;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.net.URI;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Lets a request through if its route is listed, its session has the route's role and, where
 * something is changed, it was sent by a form of that session. Says to the browser what a page of
 * ours may do.
 */
final class ConsoleFilter extends OncePerRequestFilter {

  private static final String POLICY =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
          + " form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

  /** The field of every form that changes something. */
  static final String FORM_TOKEN = "form_token";

  private final Sessions sessions;
  private final Cookies cookies;
  private final Pages pages;
  private final AuditLog auditLog;
  private final String origin;

  ConsoleFilter(
      Sessions sessions, Cookies cookies, Pages pages, AuditLog auditLog, String publicUrl) {
    this.sessions = sessions;
    this.cookies = cookies;
    this.pages = pages;
    this.auditLog = auditLog;
    URI url = URI.create(publicUrl);
    this.origin = url.getScheme() + "://" + url.getAuthority();
  }

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    setHeaders(response);
    Route route = ConsoleRoutes.find(request);
    if (route != null && route.role() == null) {
      if (ConsoleRoutes.changes(route) && !isFromOurOwnPage(request)) {
        refuse(request, response, null, ProblemCode.FORBIDDEN, "The form came from elsewhere");
        return;
      }
      chain.doFilter(request, response);
      return;
    }
    Optional<Session> found;
    try {
      found = session(request, route == null || ConsoleRoutes.isByPerson(route));
    } catch (DataAccessException | TransactionException e) {
      pages.problem(
          response, null, ProblemCode.TEMPORARILY_UNAVAILABLE, "The database did not answer.");
      return;
    }
    if (found.isEmpty()) {
      sendToSignIn(request, response);
      return;
    }
    Session session = found.get();
    session.attachTo(request);
    if (route == null) {
      pages.problem(response, session, ProblemCode.NOT_FOUND, "There is no such page.");
    } else if (!session.admin().may(route.role() == null ? Role.ADMIN : route.role())) {
      refuse(request, response, session, ProblemCode.FORBIDDEN, "Your role does not allow this");
    } else if (ConsoleRoutes.changes(route) && !isFromAForm(request, session)) {
      refuse(request, response, session, ProblemCode.FORBIDDEN, "The form came from elsewhere");
    } else {
      chain.doFilter(request, response);
    }
  }

  private static void setHeaders(HttpServletResponse response) {
    response.setHeader("Content-Security-Policy", POLICY);
    response.setHeader("X-Frame-Options", "DENY");
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Referrer-Policy", "same-origin");
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
    response.setHeader("Cache-Control", "no-store");
  }

  private Optional<Session> session(HttpServletRequest request, boolean active) {
    String cookie = cookies.session(request);
    return cookie == null ? Optional.empty() : sessions.find(cookie, active);
  }

  private boolean isFromAForm(HttpServletRequest request, Session session) {
    return isFromOurOwnPage(request) && session.isFormToken(request.getParameter(FORM_TOKEN));
  }

  /** What browsers say of themselves; who says nothing is not a browser that we know. */
  private boolean isFromOurOwnPage(HttpServletRequest request) {
    String site = request.getHeader("Sec-Fetch-Site");
    if (site != null) {
      return site.equals("same-origin");
    }
    return origin.equals(request.getHeader("Origin"));
  }

  /** A page that asks by itself is told to go there as a whole. */
  private static void sendToSignIn(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    if (request.getHeader("HX-Request") != null) {
      response.setStatus(204);
      response.setHeader("HX-Redirect", ConsoleRoutes.SIGN_IN);
    } else if (request.getMethod().equals("GET")) {
      response.sendRedirect(SignInController.address(request));
    } else {
      response.sendRedirect(ConsoleRoutes.SIGN_IN, HttpServletResponse.SC_SEE_OTHER);
    }
  }

  /** Every refusal of authority leaves a record, as at the admin API. */
  private void refuse(
      HttpServletRequest request,
      HttpServletResponse response,
      @Nullable Session session,
      ProblemCode code,
      String why)
      throws IOException {
    OpenRecord record = auditLog.open("console.request");
    String path = request.getRequestURI();
    record.detail("method", request.getMethod()).detail("status", code.status());
    record.detail("path", path.substring(0, Math.min(path.length(), 200)));
    if (session != null) {
      record.detail("actor", session.admin().name());
    }
    var _ = record.refused(code, why);
    pages.problem(response, session, code, why + ".");
  }
}
