package io.valetkey.broker.admin;

import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.OidcAdmins;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.Route;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.security.authentication.UsernamePasswordAuthenticationToken;
import org.springframework.security.core.authority.AuthorityUtils;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.jwt.BadJwtException;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.web.filter.OncePerRequestFilter;

/**
 * Lets a request through if its route is listed and its bearer token (RFC 6750, header only) has
 * the route's role. Everything else ends here: absence means refusal.
 */
final class AdminFilter extends OncePerRequestFilter {

  private static final Logger log = LoggerFactory.getLogger(AdminFilter.class);
  private static final int LONGEST_PATH = 200;
  private static final Pattern BEARER =
      Pattern.compile("[Bb]earer +([A-Za-z0-9._~+/-]{1,16384}=*)");

  private final BootstrapToken bootstrap;
  private final @Nullable OidcAdmins oidc;
  private final Sensors sensors;
  private final Problems problems;
  private final AuditLog auditLog;

  AdminFilter(
      BootstrapToken bootstrap,
      @Nullable OidcAdmins oidc,
      Sensors sensors,
      Problems problems,
      AuditLog auditLog) {
    this.bootstrap = bootstrap;
    this.oidc = oidc;
    this.sensors = sensors;
    this.problems = problems;
    this.auditLog = auditLog;
  }

  @Override
  protected void doFilterInternal(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    response.setHeader("Cache-Control", "no-store");
    Route route = AdminRoutes.find(request);
    boolean provesItself = AdminRoutes.takesSignals(route) && SecurityEventAnswers.isAsked(request);
    if (route != null && (route.role() == null || provesItself)) {
      // A security event token is authenticated, and recorded, where it is read.
      chain.doFilter(request, response);
    } else if (isAdminPath(request)) {
      OpenRecord record = auditLog.open("admin.request");
      try {
        asAdmin(request, response, chain, route);
      } finally {
        recordRefusal(request, response.getStatus(), record);
      }
    } else {
      refuseUnlisted(request, response);
    }
  }

  /**
   * Every refusal of authority, and every change that was refused, leaves a record; what succeeded
   * has its own, in the transaction of the change. A question that finds nothing is not worth one.
   */
  private static void recordRefusal(HttpServletRequest request, int status, OpenRecord record) {
    boolean read = request.getMethod().equals("GET") || request.getMethod().equals("HEAD");
    if (status < 400 || (read && status != 401 && status != 403)) {
      return;
    }
    if (status == ProblemCode.RATE_LIMITED.status()) {
      return; // what is limited must not fill the trail instead
    }
    String path = request.getRequestURI();
    record.detail("method", request.getMethod()).detail("status", status);
    record.detail("path", path.substring(0, Math.min(path.length(), LONGEST_PATH)));
    var _ = record.refused(Problems.codeFor(status), "The admin API refused the request");
  }

  /** Nobody who has not authenticated learns which routes there are. */
  private static boolean isAdminPath(HttpServletRequest request) {
    String path = request.getRequestURI();
    return path.equals("/admin") || path.startsWith("/admin/");
  }

  private void asAdmin(
      HttpServletRequest request,
      HttpServletResponse response,
      FilterChain chain,
      @Nullable Route route)
      throws ServletException, IOException {
    Admin admin;
    try {
      admin = authenticate(request, response, route);
    } catch (RefusedException e) {
      problems.write(response, e.code(), null);
      return;
    } catch (JwtException e) {
      log.warn("The identity provider of the admins did not answer: {}", e.getMessage());
      problems.write(
          response, ProblemCode.TEMPORARILY_UNAVAILABLE, "The identity provider did not answer.");
      return;
    }
    if (admin == null) {
      return;
    }
    if (route == null) {
      refuseUnlisted(request, response);
    } else if (route.role() == null || !admin.may(route.role())) {
      problems.write(response, ProblemCode.FORBIDDEN, null);
    } else {
      proceed(request, response, chain, admin);
    }
  }

  private static void proceed(
      HttpServletRequest request, HttpServletResponse response, FilterChain chain, Admin admin)
      throws ServletException, IOException {
    var context = SecurityContextHolder.createEmptyContext();
    context.setAuthentication(
        UsernamePasswordAuthenticationToken.authenticated(
            admin, null, AuthorityUtils.NO_AUTHORITIES));
    SecurityContextHolder.setContext(context);
    try {
      chain.doFilter(request, response);
    } finally {
      SecurityContextHolder.clearContext();
    }
  }

  /** The admin, or null after the refusal has been written. */
  private @Nullable Admin authenticate(
      HttpServletRequest request, HttpServletResponse response, @Nullable Route route)
      throws IOException {
    List<String> headers = Collections.list(request.getHeaders("Authorization"));
    if (headers.isEmpty()) {
      response.setHeader("WWW-Authenticate", "Bearer");
      problems.write(response, ProblemCode.UNAUTHORIZED, null);
      return null;
    }
    Matcher header = BEARER.matcher(headers.getFirst());
    if (headers.size() == 1 && header.matches()) {
      String token = header.group(1);
      if (bootstrap.accepts(token)) {
        return new Admin("bootstrap", Set.of(Role.ADMIN), null);
      }
      // Before the admins' provider, which may be away when a sensor has something to say.
      Admin sensor = AdminRoutes.takesSignals(route) ? sensors.authenticate(token) : null;
      if (sensor != null) {
        return sensor;
      }
      try {
        if (oidc != null) {
          return oidc.authenticate(token);
        }
      } catch (BadJwtException e) {
        log.info("A token of an admin was refused: {}", e.getMessage());
      }
    }
    response.setHeader("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    problems.write(
        response, ProblemCode.INVALID_TOKEN, "This token is not one that the admin API accepts.");
    return null;
  }

  private void refuseUnlisted(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    var methods = AdminRoutes.methods(request);
    if (methods.isEmpty()) {
      problems.write(response, ProblemCode.NOT_FOUND, null);
    } else {
      response.setHeader("Allow", String.join(", ", methods));
      problems.write(response, ProblemCode.METHOD_NOT_ALLOWED, null);
    }
  }
}
