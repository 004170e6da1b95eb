package io.valetkey.broker.gateway;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Host and port as a caller wrote them, and nothing else: no user information, no white space.
 * Never normalised: another spelling of a host is another host.
 *
 * @param host a name or an address literal, IPv6 with its brackets
 * @param port from 1 to 65535
 * @see <a href="https://www.rfc-editor.org/rfc/rfc3986#section-3.2">RFC 3986 section 3.2</a>
 */
record Authority(String host, int port) {

  private static final Pattern FORM =
      Pattern.compile("([A-Za-z0-9.-]{1,253}|\\[[0-9A-Fa-f:.]{2,45}])(?::([1-9][0-9]{0,4}))?");
  private static final int LARGEST = 65_535;

  /**
   * Reads an authority.
   *
   * @param standard the port that is meant where none is written; 0 if one must be written
   * @return null if it is not one
   */
  static @Nullable Authority parse(String text, int standard) {
    Matcher form = FORM.matcher(text);
    if (!form.matches()) {
      return null;
    }
    int port = form.group(2) == null ? standard : Integer.parseInt(form.group(2));
    return port < 1 || port > LARGEST ? null : new Authority(form.group(1), port);
  }

  /** The origin that it has over TLS, always with the port. */
  String httpsOrigin() {
    return "https://" + host + ":" + port;
  }
}
