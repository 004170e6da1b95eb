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
  private static final String ATTEMPT = "valetkey-sign-in";

  private final boolean secure;

  Cookies(boolean secure) {
    this.secure = secure;
  }

  @Nullable String session(HttpServletRequest request) {
    return read(request, SESSION);
  }

  /** The attempt to sign in that this browser began. */
  @Nullable String attempt(HttpServletRequest request) {
    return read(request, ATTEMPT);
  }

  /** Null also if it is there twice: one of them is somebody else's. */
  private @Nullable String read(HttpServletRequest request, String name) {
    Cookie[] cookies = request.getCookies();
    String found = null;
    for (Cookie cookie : cookies == null ? new Cookie[0] : cookies) {
      if (cookie.getName().equals(full(name))) {
        if (found != null) {
          return null;
        }
        found = cookie.getValue();
      }
    }
    return found != null && found.matches("[A-Za-z0-9._-]{1,2048}") ? found : null;
  }

  void setSession(HttpServletResponse response, String value) {
    // No age: it goes with the browser, and the server ends it anyway.
    write(response, SESSION, value, null);
  }

  void clearSession(HttpServletResponse response) {
    write(response, SESSION, "", Duration.ZERO);
  }

  void setAttempt(HttpServletResponse response, SignInAttempt attempt) {
    write(response, ATTEMPT, attempt.cookie(), SignInAttempt.LONGEST);
  }

  void clearAttempt(HttpServletResponse response) {
    write(response, ATTEMPT, "", Duration.ZERO);
  }

  private String full(String name) {
    return secure ? "__Host-" + name : name;
  }

  private void write(
      HttpServletResponse response, String name, String value, @Nullable Duration age) {
    var cookie =
        ResponseCookie.from(full(name), value)
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
