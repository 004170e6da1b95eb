package io.valetkey.broker.issuance;

import io.valetkey.broker.problem.ProblemCode;
import io.valetkey.broker.problem.RefusedException;
import jakarta.servlet.http.HttpServletRequest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of an OAuth request, from the body only (RFC 6749 section 3.2). Each may stand
 * once, but for those that their RFC allows to repeat; an empty one counts as absent.
 */
final class FormBody {

  private static final int MAX_BYTES = 64 * 1024;
  private static final Set<String> REPEATABLE = Set.of("resource", "audience");
  private static final String FORM = "application/x-www-form-urlencoded";

  private final Map<String, List<String>> parameters;

  private FormBody(Map<String, List<String>> parameters) {
    this.parameters = parameters;
  }

  /**
   * Reads the body.
   *
   * @throws RefusedException {@link ProblemCode#UNSUPPORTED_MEDIA_TYPE}, {@link
   *     ProblemCode#CONTENT_TOO_LARGE} or {@link ProblemCode#INVALID_REQUEST}
   */
  static FormBody read(HttpServletRequest request) throws IOException {
    requireForm(request.getContentType());
    if (request.getQueryString() != null) {
      throw malformed("Parameters belong into the body, not into the query");
    }
    byte[] body = request.getInputStream().readNBytes(MAX_BYTES + 1);
    if (body.length > MAX_BYTES) {
      throw new RefusedException(ProblemCode.CONTENT_TOO_LARGE, "The body is over 64 KiB");
    }
    return parse(body);
  }

  private static void requireForm(@Nullable String contentType) {
    String type = contentType == null ? "" : contentType.split(";", 2)[0].strip();
    if (!type.toLowerCase(Locale.ROOT).equals(FORM)) {
      throw new RefusedException(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The body must be a form");
    }
  }

  static FormBody parse(byte[] body) {
    Map<String, List<String>> parameters = new LinkedHashMap<>();
    if (body.length > 0) {
      for (String pair : new String(body, StandardCharsets.ISO_8859_1).split("&", -1)) {
        int equals = pair.indexOf('=');
        if (equals <= 0) {
          throw malformed("The body is not a form");
        }
        String name = decode(pair.substring(0, equals));
        String value = decode(pair.substring(equals + 1));
        List<String> values = parameters.computeIfAbsent(name, n -> new ArrayList<>(1));
        if (!values.isEmpty() && !REPEATABLE.contains(name)) {
          throw malformed("A parameter is repeated");
        }
        values.add(value);
      }
    }
    return new FormBody(parameters);
  }

  private static String decode(String text) {
    ByteBuffer bytes = ByteBuffer.allocate(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '%') {
        boolean whole = i + 2 < text.length();
        int high = whole ? Character.digit(text.charAt(i + 1), 16) : -1;
        int low = whole ? Character.digit(text.charAt(i + 2), 16) : -1;
        if (high < 0 || low < 0) {
          throw malformed("The body is not a form");
        }
        bytes.put((byte) (high << 4 | low));
        i += 2;
      } else if (c > 0x7e || c < 0x20) {
        throw malformed("The body is not a form");
      } else {
        bytes.put((byte) (c == '+' ? ' ' : c));
      }
    }
    try {
      String decoded = StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
      if (decoded.indexOf('\u0000') >= 0) {
        throw malformed("A parameter holds a NUL");
      }
      return decoded;
    } catch (CharacterCodingException e) {
      throw malformed("The body is not UTF-8");
    }
  }

  /** The value of a parameter, or null if it is absent or empty. */
  @Nullable String get(String name) {
    List<String> values = parameters.get(name);
    return values == null || values.getFirst().isEmpty() ? null : values.getFirst();
  }

  /** The value of a parameter that must be there. */
  String require(String name) {
    String value = get(name);
    if (value == null) {
      throw malformed("The parameter " + name + " is missing");
    }
    return value;
  }

  /** All non-empty values of a parameter that may be repeated. */
  List<String> all(String name) {
    return parameters.getOrDefault(name, List.of()).stream().filter(v -> !v.isEmpty()).toList();
  }

  private static RefusedException malformed(String detail) {
    return new RefusedException(ProblemCode.INVALID_REQUEST, detail);
  }
}
