package io.valetkey.broker.gateway;

import io.valetkey.broker.condition.Part;
import io.valetkey.broker.condition.RequestBody;
import io.valetkey.broker.condition.RequestFacts;
import io.valetkey.broker.policy.RequestPath;
import io.valetkey.broker.policy.ScopeRules;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Refuses every request that two readers could understand differently, and never repairs one. It
 * sees the request as the HTTP parser left it; what the parser hides is {@link WireGuard}'s part.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9112">RFC 9112</a>
 */
final class Guard {

  /**
   * The first line and the header section of a request.
   *
   * @param target the request target as it was received
   * @param problem what is wrong with it that its parts do not show, or null
   */
  record Head(String method, String target, Fields fields, @Nullable String problem) {

    Head(String method, String target, Fields fields) {
      this(method, target, fields, null);
    }
  }

  /**
   * A request that has one meaning.
   *
   * @param way how it came in
   * @param destination the name in the path or the host, not known to exist; where the way {@link
   *     Way#namesDestination names no destination} the origin instead, which is never a name
   * @param path what is matched and sent upstream; a raw one only for a destination that takes such
   * @param query what followed the question mark, or null
   */
  record Accepted(
      Way way,
      String method,
      String destination,
      RequestPath path,
      @Nullable String query,
      Fields fields)
      implements RequestFacts {

    @Override
    public boolean knows(Part part) {
      return part != Part.BODY || !fields.announceBody();
    }

    @Override
    public @Nullable String sentQuery() {
      return HeaderRules.forUpstream(query);
    }

    @Override
    public Map<String, List<String>> sentHeaders(Set<String> hidden) {
      return HeaderRules.forUpstream(fields, hidden).byName();
    }

    @Override
    public @Nullable RequestBody sentBody() {
      return null;
    }
  }

  private static final String PREFIX = "/d/";
  private static final int LONGEST_NAME = 63;
  private static final int HTTP = 80;
  private static final int HTTPS = 443;
  private static final String TOKEN_PUNCTUATION = "!#$%&'*+-.^`|~"; // RFC 9110 tchar without _
  private static final Pattern HOST =
      Pattern.compile("(?:[A-Za-z0-9.-]{1,253}|\\[[0-9A-Fa-f:.]{2,45}])(?::[0-9]{1,5})?");

  private Guard() {}

  /**
   * Accepts or refuses.
   *
   * @throws RefusedException with what is wrong; the connection must then be closed
   */
  static Accepted accept(Head head) {
    checkAllButTarget(head);
    return route(head);
  }

  /**
   * The same for a request whose {@code Host} names the destination.
   *
   * @throws RefusedException with what is wrong; the connection must then be closed
   */
  static Accepted acceptAtHost(DestinationHosts hosts, Head head) {
    checkAllButTarget(head);
    String destination = hosts.destination(head.fields().all("host").getFirst());
    if (destination == null) {
      throw malformed("Host is not that of a destination");
    }
    if (!head.target().startsWith("/")) {
      throw malformed("the target is not a path");
    }
    return at(Way.HOST, destination, head, head.target());
  }

  /**
   * The same for a request whose target is a whole URL (RFC 9112 section 3.2.2), as proxies get it.
   *
   * @throws RefusedException with what is wrong; the connection must then be closed
   */
  static Accepted acceptAbsolute(Head head) {
    checkAllButTarget(head);
    String target = head.target();
    boolean https = target.startsWith("https://");
    if (!https && !target.startsWith("http://")) {
      throw malformed("the target is not a URL of the web");
    }
    int standard = https ? HTTPS : HTTP;
    int from = target.indexOf("//") + 2;
    int to = from;
    while (to < target.length() && "/?#".indexOf(target.charAt(to)) < 0) {
      to++;
    }
    Authority authority = Authority.parse(target.substring(from, to), standard);
    if (authority == null) {
      throw malformed("the target has no authority of host and port");
    }
    requireSame(authority, head, standard);
    // No destination has an origin without TLS: such a one is unknown like any other.
    String origin =
        https ? authority.httpsOrigin() : "http://" + authority.host() + ":" + authority.port();
    return at(Way.ABSOLUTE_FORM, origin, head, target.substring(to));
  }

  /**
   * The same for a request in a tunnel, which looks as it would to its destination.
   *
   * @param authority where the tunnel leads
   * @throws RefusedException with what is wrong; the connection must then be closed
   */
  static Accepted acceptInside(Authority authority, Head head) {
    checkAllButTarget(head);
    if (!head.target().startsWith("/")) {
      throw malformed("the target is not a path");
    }
    requireSame(authority, head, HTTPS);
    return at(Way.INTERCEPT, authority.httpsOrigin(), head, head.target());
  }

  private static void requireSame(Authority authority, Head head, int standard) {
    if (!authority.equals(Authority.parse(head.fields().all("host").getFirst(), standard))) {
      throw malformed("Host is another authority");
    }
  }

  private static Accepted at(Way way, String destination, Head head, String pathAndQuery) {
    String path = path(pathAndQuery);
    // A URL without a path means its root, the only reading it can have.
    return new Accepted(
        way,
        head.method(),
        destination,
        RequestPath.receive(path.isEmpty() ? "/" : path),
        query(pathAndQuery),
        head.fields());
  }

  /**
   * What is wrong whatever the target is.
   *
   * @throws RefusedException with what is wrong; the connection must then be closed
   */
  static void checkAllButTarget(Head head) {
    if (head.problem() != null) {
      throw malformed(head.problem());
    }
    if (!ScopeRules.METHODS.contains(head.method())) {
      throw malformed("the method is not supported");
    }
    checkFields(head.fields());
    checkHost(head.fields().all("host"));
    checkBody(head);
  }

  private static String path(String target) {
    int question = target.indexOf('?');
    return question < 0 ? target : target.substring(0, question);
  }

  private static @Nullable String query(String target) {
    int question = target.indexOf('?');
    if (question < 0) {
      return null;
    }
    String query = target.substring(question + 1);
    checkQuery(query);
    return query;
  }

  private static Accepted route(Head head) {
    String path = path(head.target());
    String query = query(head.target());
    if (!path.startsWith(PREFIX)) {
      // The whole path is checked first: a malformed one is 400 wherever it points to.
      RequestPath.parse(path);
      throw new RefusedException(ProblemCode.NOT_FOUND, "the path is not below /d/");
    }
    int slash = path.indexOf('/', PREFIX.length());
    String name = path.substring(PREFIX.length(), slash < 0 ? path.length() : slash);
    // A destination without a path means its root, the only reading it can have.
    RequestPath rest = RequestPath.receive(slash < 0 ? "/" : path.substring(slash));
    if (!isName(name)) {
      throw new RefusedException(ProblemCode.INVALID_PATH, "the destination is not a name");
    }
    return new Accepted(Way.BASE_URL, head.method(), name, rest, query, head.fields());
  }

  static void checkFields(Fields fields) {
    for (Fields.Field field : fields.list()) {
      if (!isToken(field.name())) {
        throw malformed("a header name is not a token, or has an underscore");
      }
      if (hasControlCharacter(field.value())) {
        throw malformed("a header value has a control character");
      }
    }
  }

  static boolean isToken(String name) {
    for (int i = 0; i < name.length(); i++) {
      if (!isTokenCharacter(name.charAt(i))) {
        return false;
      }
    }
    return !name.isEmpty();
  }

  private static boolean hasControlCharacter(String value) {
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == 0x7f || (c < ' ' && c != '\t')) {
        return true;
      }
    }
    return false;
  }

  private static void checkHost(List<String> hosts) {
    if (hosts.size() != 1) {
      throw malformed("there is not exactly one Host");
    }
    if (!HOST.matcher(hosts.getFirst()).matches()) {
      throw malformed("Host is not a host and port");
    }
  }

  private static void checkBody(Head head) {
    Fields fields = head.fields();
    for (String expectation : fields.all("expect")) {
      if (!expectation.equalsIgnoreCase("100-continue")) {
        throw new RefusedException(ProblemCode.EXPECTATION_FAILED, "an unknown expectation");
      }
    }
    List<String> lengths = fields.all("content-length");
    List<String> codings = fields.all("transfer-encoding");
    if (lengths.size() + codings.size() > 1) {
      throw malformed("the body's length is given twice");
    }
    if (!codings.isEmpty() && !codings.getFirst().equalsIgnoreCase("chunked")) {
      throw malformed("the transfer coding is not chunked");
    }
    if (!lengths.isEmpty() && !lengths.getFirst().matches("[0-9]{1,18}")) {
      throw malformed("Content-Length is not a number");
    }
    boolean bodyless = ScopeRules.BODYLESS.contains(head.method());
    boolean body =
        !codings.isEmpty() || (!lengths.isEmpty() && Long.parseLong(lengths.getFirst()) > 0);
    if (bodyless && body) {
      throw malformed("this method has no body");
    }
  }

  private static void checkQuery(String query) {
    if (!query.chars().allMatch(c -> c > ' ' && c < 0x7f && c != '#' && c != '\\')) {
      throw malformed("the query has a character that is not allowed in it");
    }
  }

  /** Whether it could be the name of a destination. */
  static boolean isName(String name) {
    return !name.isEmpty()
        && name.length() <= LONGEST_NAME
        && name.chars().allMatch(c -> isLowerOrDigit(c) || c == '-')
        && name.charAt(0) != '-'
        && name.charAt(name.length() - 1) != '-';
  }

  private static boolean isLowerOrDigit(int c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  }

  private static boolean isTokenCharacter(int c) {
    return isLowerOrDigit(c) || (c >= 'A' && c <= 'Z') || TOKEN_PUNCTUATION.indexOf(c) >= 0;
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
