package io.valetkey.broker.console;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseCookie;

/**
 * The console's cookies: of this host alone ({@code __Host-}, RFC 6265bis section 4.1.3.2), out of
 * reach of scripts, and sent along from elsewhere only when somebody follows a link. Over plain
 * http, which is for loopback, browsers refuse the prefix, so it is left out there.
 */
final class Cookies {

  private static final String SESSION = "valetkey-console";
  private static final String SIGN_IN = "valetkey-console-sign-in";
  private static final Duration SIGNING_IN = Duration.ofMinutes(10);

  private final boolean secure;

  Cookies(boolean secure) {
    this.secure = secure;
  }

  @Nullable String session(HttpServletRequest request) {
    return read(request, SESSION);
  }

  void setSession(HttpServletResponse response, String value) {
    // No age: it goes with the browser, and the server ends it anyway.
    write(response, SESSION, value, null);
  }

  void clearSession(HttpServletResponse response) {
    write(response, SESSION, "", Duration.ZERO);
  }

  @Nullable String signIn(HttpServletRequest request) {
    return read(request, SIGN_IN);
  }

  void setSignIn(HttpServletResponse response, String value) {
    write(response, SIGN_IN, value, SIGNING_IN);
  }

  void clearSignIn(HttpServletResponse response) {
    write(response, SIGN_IN, "", Duration.ZERO);
  }

  private String name(String base) {
    return secure ? "__Host-" + base : base;
  }

  /** Null also if it is there twice: one of them is somebody else's. */
  private @Nullable String read(HttpServletRequest request, String base) {
    Cookie[] cookies = request.getCookies();
    String found = null;
    for (Cookie cookie : cookies == null ? new Cookie[0] : cookies) {
      if (cookie.getName().equals(name(base))) {
        if (found != null) {
          return null;
        }
        found = cookie.getValue();
      }
    }
    return found != null && found.matches("[A-Za-z0-9_-]{1,2048}") ? found : null;
  }

  private void write(
      HttpServletResponse response, String base, String value, @Nullable Duration age) {
    var cookie =
        ResponseCookie.from(name(base), value)
            .path("/")
            .secure(secure)
            .httpOnly(true)
            .sameSite("Lax");
    if (age != null) {
      cookie.maxAge(age);
    }
    response.addHeader("Set-Cookie", cookie.build().toString());
  }
}
