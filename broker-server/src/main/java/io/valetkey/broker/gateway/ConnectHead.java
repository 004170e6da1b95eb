package io.valetkey.broker.gateway;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The head of a CONNECT request, which reaches no HTTP parser but this one. Anything with a second
 * reading is refused: bare line ends, folded lines, control characters, a body, another {@code
 * Host}. HTTP/1.0 is taken too, because programs still send CONNECT in it; it may lack {@code
 * Host}.
 *
 * @param authority where the tunnel is to lead
 * @param fields the header section
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6">RFC 9110 section 9.3.6</a>
 */
record ConnectHead(Authority authority, Fields fields) {

  private static final Pattern FIRST_LINE =
      Pattern.compile("CONNECT ([!-~]{1,300}) HTTP/1\\.([01])");
  private static final String END = "\r\n";
  private static final int HTTPS = 443;

  /**
   * Reads a head.
   *
   * @param text every byte of it as one character, up to and with the empty line
   * @throws RefusedException {@link ProblemCode#INVALID_REQUEST}
   */
  static ConnectHead parse(String text) {
    if (!text.endsWith(END + END)) {
      throw malformed("the head has no end");
    }
    String[] lines = text.substring(0, text.length() - 4).split(END, -1);
    Matcher first = FIRST_LINE.matcher(lines[0]);
    if (!first.matches()) {
      throw malformed("the first line is not CONNECT, an authority and a version");
    }
    Authority authority = Authority.parse(first.group(1), 0);
    if (authority == null) {
      throw malformed("the target is not host and port");
    }
    Fields fields = new Fields();
    for (int i = 1; i < lines.length; i++) {
      int colon = lines[i].indexOf(':');
      if (colon < 1) {
        throw malformed("a header line has no name");
      }
      fields.add(lines[i].substring(0, colon), lines[i].substring(colon + 1).strip());
    }
    Guard.checkFields(fields);
    checkHost(authority, fields, first.group(2).equals("0"));
    checkNoBody(fields);
    return new ConnectHead(authority, fields);
  }

  private static void checkHost(Authority authority, Fields fields, boolean mayLack) {
    var hosts = fields.all("host");
    if (hosts.isEmpty() && mayLack) {
      return;
    }
    if (hosts.size() != 1 || !authority.equals(Authority.parse(hosts.getFirst(), HTTPS))) {
      throw malformed("there is not exactly one Host that is the target");
    }
  }

  private static void checkNoBody(Fields fields) {
    boolean empty = fields.all("content-length").stream().allMatch("0"::equals);
    if (!empty || fields.has("transfer-encoding") || fields.has("expect")) {
      throw malformed("CONNECT has no body");
    }
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
