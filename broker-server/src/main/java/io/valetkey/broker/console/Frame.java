package io.valetkey.broker.console;

import io.valetkey.broker.control.Admin;
import io.valetkey.broker.control.Role;
import org.jspecify.annotations.Nullable;

/** What stands around every page. Not a record: it holds the form token. */
final class Frame {

  private final String title;
  private final String section;
  private final @Nullable Session session;
  private final Assets assets;

  Frame(String title, String section, @Nullable Session session, Assets assets) {
    this.title = title;
    this.section = section;
    this.session = session;
    this.assets = assets;
  }

  String title() {
    return title;
  }

  boolean isIn(String name) {
    return section.equals(name);
  }

  @Nullable Admin admin() {
    return session == null ? null : session.admin();
  }

  boolean may(Role role) {
    return session != null && session.admin().may(role);
  }

  /** The most that this person may do, in a word or two. */
  String role() {
    if (may(Role.ADMIN)) {
      return "admin";
    }
    if (may(Role.OPERATOR)) {
      return may(Role.APPROVER) ? "operator, approver" : "operator";
    }
    return may(Role.APPROVER) ? "approver" : "viewer";
  }

  String formToken() {
    return session == null ? "" : session.formToken();
  }

  String style() {
    return assets.address("console.css");
  }

  String icon() {
    return assets.address("icon.svg");
  }

  String script() {
    return assets.address("htmx.min.js");
  }
}
