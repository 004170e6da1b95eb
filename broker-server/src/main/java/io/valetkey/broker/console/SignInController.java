package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.console.Session.Via;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.BootstrapToken;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.problem.ProblemCode;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Signs people in by the bootstrap token, and out. */
@RestController
@Hidden
class SignInController {

  private final Sessions sessions;
  private final Cookies cookies;
  private final BootstrapToken bootstrap;
  private final AuditLog auditLog;
  private final SignInPage page;

  SignInController(
      Sessions sessions,
      Cookies cookies,
      BootstrapToken bootstrap,
      AuditLog auditLog,
      SignInPage page) {
    this.sessions = sessions;
    this.cookies = cookies;
    this.bootstrap = bootstrap;
    this.auditLog = auditLog;
    this.page = page;
  }

  /** Where to sign in, and what to go on with afterwards. */
  static String address(HttpServletRequest request) {
    String query = request.getQueryString();
    String wanted = request.getRequestURI() + (query == null ? "" : "?" + query);
    return wanted.equals(ConsoleRoutes.BASE)
        ? ConsoleRoutes.SIGN_IN
        : ConsoleRoutes.SIGN_IN + "?next=" + URLEncoder.encode(wanted, StandardCharsets.UTF_8);
  }

  /** A page of ours and nothing else, so that nobody is led away. */
  static String ours(@Nullable String next) {
    return next != null
            && next.length() <= 500
            && next.matches("/console/[a-z]+(/[a-z0-9/-]*)?(\\?[A-Za-z0-9=&%._+-]*)?")
        ? next
        : ConsoleRoutes.LIVE;
  }

  @GetMapping(ConsoleRoutes.SIGN_IN)
  ResponseEntity<byte[]> form(HttpServletRequest request) {
    return page.show(200, "", ours(request.getParameter("next")));
  }

  @PostMapping(ConsoleRoutes.SIGN_IN)
  ResponseEntity<byte[]> signIn(HttpServletRequest request, HttpServletResponse response) {
    String token = request.getParameter("token");
    OpenRecord record = auditLog.open("console.sign_in");
    record.detail("via", "bootstrap");
    if (token == null || !bootstrap.accepts(token.strip())) {
      var _ = record.refused(ProblemCode.INVALID_TOKEN, "The bootstrap token was not accepted");
      return page.show(
          401,
          "This is not a bootstrap token that is accepted, or its time is over.",
          ours(request.getParameter("next")));
    }
    Admin admin = new Admin("bootstrap", Set.of(Role.ADMIN), null);
    auditLog.await(record.detail("actor", admin.name()).granted(OpenRecord.ANY_EPOCH));
    cookies.setSession(response, sessions.open(admin, Via.BOOTSTRAP));
    return Pages.to(ours(request.getParameter("next")));
  }

  @PostMapping(ConsoleRoutes.SIGN_OUT)
  ResponseEntity<byte[]> signOut(HttpServletRequest request, HttpServletResponse response) {
    String cookie = cookies.session(request);
    if (cookie != null) {
      sessions.close(cookie);
    }
    cookies.clearSession(response);
    OpenRecord record = auditLog.open("console.sign_out");
    record.detail("actor", Session.of(request).admin().name());
    var _ = record.granted(OpenRecord.ANY_EPOCH);
    return Pages.to(ConsoleRoutes.SIGN_IN);
  }
}
