package io.valetkey.broker.gateway;

import io.valetkey.broker.policy.DestinationSpec;
import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;

/**
 * Finds the one access token in a request: SDKs put it where the API key used to go. {@code
 * Authorization} counts as Bearer (RFC 6750), as {@code token}, and as the password of Basic (RFC
 * 7617). A signature of AWS does not count: SDKs of AWS send the token as that of a session.
 */
final class TokenSlots {

  private TokenSlots() {}

  /**
   * The token, not verified.
   *
   * @throws RefusedException {@link ProblemCode#UNAUTHORIZED} if there is none, {@link
   *     ProblemCode#SEVERAL_TOKENS}, or {@link ProblemCode#INVALID_TOKEN} if the slot holds
   *     something else
   */
  static String read(Fields fields) {
    List<String> tokens = new ArrayList<>();
    for (Fields.Field field : fields.list()) {
      String key = field.key();
      if (key.equals("authorization")) {
        if (!isAwsSignature(field.value())) {
          tokens.add(fromAuthorization(field.value()));
        }
      } else if (DestinationSpec.KNOWN_SLOTS.contains(key)) {
        tokens.add(field.value().strip());
      }
    }
    if (tokens.isEmpty()) {
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "no slot holds a token");
    }
    if (tokens.size() > 1) {
      throw new RefusedException(ProblemCode.SEVERAL_TOKENS, "several slots hold a token");
    }
    if (tokens.getFirst().isEmpty()) {
      throw new RefusedException(ProblemCode.INVALID_TOKEN, "the slot holds no access token");
    }
    return tokens.getFirst();
  }

  /** A signature by made-up keys, which AWS's SDKs always send; the token is their session's. */
  private static boolean isAwsSignature(String value) {
    return value.regionMatches(true, 0, "AWS4-", 0, "AWS4-".length());
  }

  /**
   * The token for the forward proxy, not verified: {@code Proxy-Authorization} as Bearer, or as the
   * password of Basic, which is what programs make of a user and password in the proxy's URL.
   *
   * @throws RefusedException like {@link #read}
   */
  static String readProxy(Fields fields) {
    List<String> values = fields.all("proxy-authorization");
    if (values.isEmpty()) {
      throw new RefusedException(ProblemCode.UNAUTHORIZED, "no token for the proxy");
    }
    if (values.size() > 1) {
      throw new RefusedException(ProblemCode.SEVERAL_TOKENS, "several tokens for the proxy");
    }
    String value = values.getFirst();
    String scheme = value.substring(0, Math.max(0, value.indexOf(' '))).toLowerCase(Locale.ROOT);
    // Not DPoP: a bound token needs a proof of each request, which no program makes for a proxy.
    boolean known = scheme.equals("bearer") || scheme.equals("basic");
    String token = known ? fromAuthorization(value) : "";
    if (token.isEmpty()) {
      throw new RefusedException(ProblemCode.INVALID_TOKEN, "the slot holds no access token");
    }
    return token;
  }

  /** Whether the token came with the scheme that announces a proof (RFC 9449 section 7.1). */
  static boolean announcesProof(Fields fields) {
    String value = fields.first("authorization");
    return value != null && value.regionMatches(true, 0, "DPoP ", 0, "DPoP ".length());
  }

  /** The token, or nothing if the value is of a kind that cannot hold one. */
  private static String fromAuthorization(String value) {
    int space = value.indexOf(' ');
    if (space < 0) {
      return "";
    }
    String rest = value.substring(space + 1).strip();
    return switch (value.substring(0, space).toLowerCase(Locale.ROOT)) {
      case "bearer", "token", "dpop" -> rest;
      case "basic" -> password(rest);
      default -> "";
    };
  }

  private static String password(String encoded) {
    try {
      String pair = new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
      int colon = pair.indexOf(':');
      return colon < 0 ? "" : pair.substring(colon + 1);
    } catch (IllegalArgumentException e) {
      return "";
    }
  }
}
