package io.valetkey.broker.net;

import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What goes to OAuth servers: forms ({@code application/x-www-form-urlencoded}) and the client's
 * own credentials.
 */
public final class FormEncoding {

  private FormEncoding() {}

  /** The fields as a form, in their order. */
  public static String form(Map<String, String> fields) {
    return fields.entrySet().stream()
        .map(field -> field.getKey() + "=" + encode(field.getValue()))
        .collect(Collectors.joining("&"));
  }

  /**
   * A client's id and secret as the value of {@code Authorization}: both are encoded as in a form
   * first (RFC 6749 section 2.3.1).
   */
  public static String basic(String clientId, String secret) {
    byte[] pair = (encode(clientId) + ":" + encode(secret)).getBytes(StandardCharsets.US_ASCII);
    return "Basic " + Base64.getEncoder().encodeToString(pair);
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }
}
