package io.valetkey.broker.console;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.springframework.http.ResponseCookie;

/**
 * The console's cookie: of this host alone ({@code __Host-}, RFC 6265bis section 4.1.3.2), out of
 * reach of scripts, and sent along from elsewhere only when somebody follows a link. Over plain
 * http, which is for loopback, browsers refuse the prefix, so it is left out there.
 */
final class Cookies {

  private static final String SESSION = "valetkey-console";

  private final boolean secure;

  Cookies(boolean secure) {
    this.secure = secure;
  }

  /** Null also if it is there twice: one of them is somebody else's. */
  @Nullable String session(HttpServletRequest request) {
    Cookie[] cookies = request.getCookies();
    String found = null;
    for (Cookie cookie : cookies == null ? new Cookie[0] : cookies) {
      if (cookie.getName().equals(name())) {
        if (found != null) {
          return null;
        }
        found = cookie.getValue();
      }
    }
    return found != null && found.matches("[A-Za-z0-9_-]{1,2048}") ? found : null;
  }

  void setSession(HttpServletResponse response, String value) {
    // No age: it goes with the browser, and the server ends it anyway.
    write(response, value, null);
  }

  void clearSession(HttpServletResponse response) {
    write(response, "", Duration.ZERO);
  }

  private String name() {
    return secure ? "__Host-" + SESSION : SESSION;
  }

  private void write(HttpServletResponse response, String value, @Nullable Duration age) {
    var cookie =
        ResponseCookie.from(name(), value).path("/").secure(secure).httpOnly(true).sameSite("Lax");
    if (age != null) {
      cookie.maxAge(age);
    }
    response.addHeader("Set-Cookie", cookie.build().toString());
  }
}
