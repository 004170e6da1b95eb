package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.DestinationSpec;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What of a request goes upstream and what of an answer comes back. Everything that could carry the
 * caller's own credential is removed always, because a caller's key through an allowed host is a
 * way for data to leave.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1">RFC 9110 section 7.6.1</a>
 */
final class HeaderRules {

  private static final Set<String> HOP_BY_HOP =
      Set.of(
          "connection",
          "keep-alive",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "http2-settings",
          // A WebSocket's handshake is made anew on either side, without extensions.
          "sec-websocket-key",
          "sec-websocket-accept",
          "sec-websocket-version",
          "sec-websocket-extensions",
          "sec-websocket-protocol");

  /** Framing, {@code Host}, {@code Expect} and codings are decided by the gateway itself. */
  private static final Set<String> REBUILT =
      Set.of("host", "content-length", "expect", "accept-encoding", "grpc-accept-encoding");

  private static final Set<String> REQUEST_ONLY =
      Set.of(
          "cookie",
          "cookie2",
          "dpop",
          "forwarded",
          "via",
          "x-real-ip",
          // Who traces whom inside is nothing for third parties; baggage can hold anything.
          "traceparent",
          "tracestate",
          "baggage",
          "b3",
          // These defeat rules on method and path.
          "x-http-method",
          "x-http-method-override",
          "x-method-override",
          "x-original-url",
          "x-rewrite-url");

  private static final Set<String> ANSWER_ONLY =
      Set.of("set-cookie", "set-cookie2", "alt-svc", "www-authenticate", "authentication-info");

  /** RFC 9110 section 6.5.1. */
  private static final Set<String> NOT_IN_TRAILERS =
      Set.of(
          "age",
          "cache-control",
          "content-encoding",
          "content-length",
          "content-range",
          "content-type",
          "date",
          "expires",
          "host",
          "location",
          "retry-after",
          "vary");

  private static final Set<String> KEY_PARAMETERS =
      Set.of(
          "key",
          "api_key",
          "api-key",
          "apikey",
          "access_token",
          "auth_token",
          // Of an address that somebody signed with a key of their own.
          "awsaccesskeyid",
          "x-amz-algorithm",
          "x-amz-credential",
          "x-amz-date",
          "x-amz-expires",
          "x-amz-security-token",
          "x-amz-signature",
          "x-amz-signedheaders",
          "x-goog-algorithm",
          "x-goog-credential",
          "x-goog-date",
          "x-goog-expires",
          "x-goog-signature",
          "x-goog-signedheaders");

  private HeaderRules() {}

  /**
   * The caller's fields that may go upstream. The credential is not among them yet.
   *
   * @param slotHeaders the headers that carry the credential, lower case
   */
  static Fields forUpstream(Fields received, Set<String> slotHeaders) {
    Set<String> named = Set.copyOf(received.members("connection"));
    return received.without(key ->
        isHopByHop(key, named)
            || REBUILT.contains(key)
            || REQUEST_ONLY.contains(key)
            || DestinationSpec.KNOWN_SLOTS.contains(key)
            || slotHeaders.contains(key)
            || key.startsWith("x-forwarded-")
            || key.startsWith("x-b3-")
            || key.startsWith("valetkey-"));
  }

  /** The query without parameters that look like keys, byte for byte otherwise. */
  static @Nullable String forUpstream(@Nullable String query) {
    if (query == null) {
      return null;
    }
    StringBuilder kept = new StringBuilder(query.length());
    boolean removed = false;
    int start = 0;
    while (start <= query.length()) {
      int end = start;
      while (end < query.length() && query.charAt(end) != '&' && query.charAt(end) != ';') {
        end++;
      }
      String parameter = query.substring(start, end);
      if (isKey(parameter)) {
        removed = true;
      } else {
        // The separator that stood before it, unless it has become the first one.
        kept.append(kept.isEmpty() ? "" : query.substring(start - 1, start)).append(parameter);
      }
      start = end + 1;
    }
    if (!removed) {
      return query;
    }
    return kept.isEmpty() ? null : kept.toString();
  }

  /** The upstream's fields that may reach the caller; length and framing are among them no more. */
  static Fields forCaller(Fields received, Set<String> slotHeaders) {
    Set<String> named = Set.copyOf(received.members("connection"));
    return received.without(key ->
        isHopByHop(key, named)
            || ANSWER_ONLY.contains(key)
            || DestinationSpec.KNOWN_SLOTS.contains(key)
            || slotHeaders.contains(key)
            || key.startsWith("valetkey-"));
  }

  /** The same of trailers, where nothing may stand that says how to read the body. */
  static Fields forCallersTrailers(Fields received, Set<String> slotHeaders) {
    return forCaller(received, slotHeaders).without(NOT_IN_TRAILERS::contains);
  }

  private static boolean isHopByHop(String key, Set<String> named) {
    return HOP_BY_HOP.contains(key) || named.contains(key) || key.startsWith("proxy-");
  }

  private static boolean isKey(String parameter) {
    int equals = parameter.indexOf('=');
    String name = equals < 0 ? parameter : parameter.substring(0, equals);
    String decoded = name;
    try {
      decoded = URLDecoder.decode(name, StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      // Not percent-encoded after all: then the name is what it looks like.
      decoded = name;
    }
    return KEY_PARAMETERS.contains(decoded.strip().toLowerCase(Locale.ROOT));
  }
}
