package io.valetkey.broker.console;

import io.swagger.v3.oas.annotations.Hidden;
import io.valetkey.broker.audit.AuditLog;
import io.valetkey.broker.audit.OpenRecord;
import io.valetkey.broker.console.Session.Via;
import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.Role;
import io.valetkey.broker.control.RoleClaim;
import io.valetkey.broker.identity.RelyingParty;
import io.valetkey.broker.identity.UsedOnce;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Sends people to their provider, and signs them in when they come back. */
@RestController
@Hidden
class ProviderSignInController {

  private final @Nullable Provider provider;
  private final Sessions sessions;
  private final Cookies cookies;
  private final UsedOnce usedOnce;
  private final AuditLog auditLog;
  private final SignInPage page;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  ProviderSignInController(
      @Nullable Provider provider,
      Sessions sessions,
      Cookies cookies,
      UsedOnce usedOnce,
      AuditLog auditLog,
      SignInPage page,
      Clock clock) {
    this.provider = provider;
    this.sessions = sessions;
    this.cookies = cookies;
    this.usedOnce = usedOnce;
    this.auditLog = auditLog;
    this.page = page;
    this.clock = clock;
  }

  /** Where people sign in, and what its claims mean. */
  record Provider(String name, String issuer, RelyingParty party, RoleClaim roles) {}

  private Provider provider() {
    if (provider == null) {
      throw new RefusedException(ProblemCode.NOT_FOUND, "Nobody signs in by a provider here.");
    }
    return provider;
  }

  @GetMapping(ConsoleRoutes.PROVIDER)
  ResponseEntity<byte[]> begin(HttpServletRequest request, HttpServletResponse response) {
    String next = SignInController.ours(request.getParameter("next"));
    SignInAttempt attempt = SignInAttempt.begin(random, clock.instant(), next);
    String there =
        provider()
            .party()
            .authorization(attempt.state(), attempt.nonce(), attempt.verifier())
            .toString();
    cookies.setAttempt(response, attempt);
    return Pages.to(there);
  }

  @GetMapping(ConsoleRoutes.CALLBACK)
  ResponseEntity<byte[]> finish(HttpServletRequest request, HttpServletResponse response) {
    Provider known = provider();
    OpenRecord record = auditLog.open("console.sign_in");
    record.detail("via", "oidc");
    SignInAttempt attempt = null;
    Admin admin;
    try {
      attempt = attempt(request);
      cookies.clearAttempt(response);
      admin = admin(known, attempt, request);
      record.detail("actor", admin.name()).detail("roles", Sessions.words(admin.roles()));
      requireRole(admin, known);
    } catch (RefusedException e) {
      var _ = record.refused(e.code(), e.detail());
      String next = attempt == null ? ConsoleRoutes.LIVE : attempt.next();
      return page.show(e.code().status(), "You are not signed in. " + e.detail() + ".", next);
    }
    auditLog.await(record.granted(OpenRecord.ANY_EPOCH));
    cookies.setSession(response, sessions.open(admin, Via.OIDC));
    return Pages.to(attempt.next());
  }

  /** The attempt that this answers; without one, nothing of what came is believed. */
  private SignInAttempt attempt(HttpServletRequest request) {
    return SignInAttempt.of(cookies.attempt(request))
        .filter(begun -> begun.isAnsweredBy(only(request, "state"), clock.instant()))
        .orElseThrow(() ->
            new RefusedException(
                ProblemCode.FORBIDDEN,
                "This answer belongs to no sign-in that this browser began in the last 10 minutes"));
  }

  private Admin admin(Provider known, SignInAttempt attempt, HttpServletRequest request) {
    known.party().requireAnswerOf(only(request, "iss"));
    if (!usedOnce.claim("sign_in", known.issuer(), attempt.state(), attempt.end())) {
      throw new RefusedException(ProblemCode.TOKEN_REPLAYED, "This answer was used before");
    }
    String code = only(request, "code");
    if (request.getParameter("error") != null || code == null) {
      throw new RefusedException(ProblemCode.FORBIDDEN, "The provider said " + error(request));
    }
    Map<String, @Nullable Object> claims =
        known.party().redeem(code, attempt.verifier(), attempt.nonce());
    String subject = (String) Objects.requireNonNull(claims.get("sub"));
    return new Admin(subject, known.roles().roles(claims), null);
  }

  private static void requireRole(Admin admin, Provider known) {
    if (!admin.may(Role.VIEWER)) {
      throw new RefusedException(
          ProblemCode.FORBIDDEN,
          "%s knows you as %s, but nothing in your claim %s is viewer, operator or admin here"
              .formatted(known.name(), admin.name(), known.roles().claim()));
    }
  }

  /** One of the words that RFC 6749 section 4.1.2.1 and OpenID Connect have, or none. */
  private static String error(HttpServletRequest request) {
    String error = only(request, "error");
    return error != null && error.matches("[a-z_]{1,64}") ? error : "nothing that is understood";
  }

  /** Null also if it is there twice (RFC 6749 section 3.1) or too long. */
  private static @Nullable String only(HttpServletRequest request, String name) {
    String[] values = request.getParameterValues(name);
    return values != null && values.length == 1 && values[0].matches("[\\x20-\\x7e]{1,4096}")
        ? values[0]
        : null;
  }
}
