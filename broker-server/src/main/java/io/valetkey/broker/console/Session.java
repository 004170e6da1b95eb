package io.valetkey.broker.console;

import io.valetkey.broker.control.Admin;
import jakarta.servlet.http.HttpServletRequest;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Somebody who is signed in. Its form token is derived from the cookie, so that it is known to
 * every replica and to nobody who does not have the cookie; not a record, which would print it.
 */
final class Session {

  /** How somebody signed in. */
  enum Via {
    OIDC,
    BOOTSTRAP
  }

  private static final String ATTRIBUTE = Session.class.getName();

  private final Admin admin;
  private final Via via;
  private final String formToken;

  Session(Admin admin, Via via, String cookie) {
    this.admin = admin;
    this.via = via;
    this.formToken = Derived.from(cookie, "valetkey console form");
  }

  Admin admin() {
    return admin;
  }

  Via via() {
    return via;
  }

  /** What each form of this session carries. */
  String formToken() {
    return formToken;
  }

  boolean isFormToken(@Nullable String presented) {
    return presented != null
        && MessageDigest.isEqual(
            presented.getBytes(StandardCharsets.UTF_8), formToken.getBytes(StandardCharsets.UTF_8));
  }

  void attachTo(HttpServletRequest request) {
    request.setAttribute(ATTRIBUTE, this);
  }

  /** The session of a request that the filter has let through; null on open routes. */
  static @Nullable Session find(HttpServletRequest request) {
    return (Session) request.getAttribute(ATTRIBUTE);
  }

  static Session of(HttpServletRequest request) {
    return Objects.requireNonNull(find(request));
  }
}
