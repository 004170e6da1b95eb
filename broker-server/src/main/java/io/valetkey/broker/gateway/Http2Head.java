package io.valetkey.broker.gateway;

import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.net.HostAndPort;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The head of an HTTP/2 request in the words of HTTP/1.1, so that one guard judges both: {@code
 * :authority} becomes {@code Host}, and a body without a stated length is one that is chunked. What
 * has no such words is named as the problem of the head.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9113#section-8.2">RFC 9113 section 8.2</a>
 */
final class Http2Head {

  private Http2Head() {}

  /**
   * Reads a head.
   *
   * @param body whether the caller may still send on the stream
   */
  static Guard.Head of(HttpServerRequest request, boolean body) {
    Fields fields = new Fields();
    String problem = "https".equals(request.scheme()) ? null : "the scheme is not https";
    HostAndPort authority = request.authority();
    if (authority != null) {
      fields.add("Host", text(authority));
    }
    // Without :authority the engine has taken Host for it, and out of the fields.
    List<String> hosts = request.headers().getAll("host");
    if (hosts.size() > 1 || (hosts.size() == 1 && !isSame(hosts.getFirst(), authority))) {
      problem = "Host is not :authority";
    }
    if (request.headers().contains(":protocol")) {
      problem = "extended CONNECT (RFC 8441) is not offered";
    }
    boolean length = false;
    for (var field : request.headers()) {
      String name = field.getKey();
      String value = field.getValue();
      if (isPadded(value)) {
        problem = "a header value begins or ends with white space";
      }
      if (!name.equals("host")) {
        fields.add(name, value);
      }
      length |= name.equals("content-length");
    }
    if (body && !length) {
      fields.add("transfer-encoding", "chunked");
    }
    return new Guard.Head(request.method().name(), request.uri(), fields, problem);
  }

  /** Every host that the request names, as {@code Host} would. */
  static List<String> hosts(HttpServerRequest request) {
    List<String> hosts = new ArrayList<>(request.headers().getAll("host"));
    HostAndPort authority = request.authority();
    if (authority != null) {
      hosts.add(text(authority));
    }
    return hosts;
  }

  private static boolean isSame(String host, @Nullable HostAndPort authority) {
    return authority != null && host.equals(text(authority));
  }

  private static String text(HostAndPort authority) {
    return authority.port() < 0 ? authority.host() : authority.host() + ":" + authority.port();
  }

  private static boolean isPadded(String value) {
    return !value.isEmpty()
        && (isSpace(value.charAt(0)) || isSpace(value.charAt(value.length() - 1)));
  }

  private static boolean isSpace(char c) {
    return c == ' ' || c == '\t';
  }
}
