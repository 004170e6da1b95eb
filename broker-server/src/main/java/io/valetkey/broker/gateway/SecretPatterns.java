package io.valetkey.broker.gateway;

import io.valetkey.broker.secret.SecretValue;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashSet;
import java.util.Set;

/**
 * The ways in which an upstream may echo a credential: as it is, escaped in JSON, HTML or XML,
 * URL-encoded, and inside something that was base64-encoded, at each of the three alignments and in
 * both alphabets.
 */
final class SecretPatterns {

  /** A shorter derived form would be found in innocent text. The value itself always counts. */
  private static final int SHORTEST_DERIVED = 6;

  private SecretPatterns() {}

  static Set<String> of(SecretValue secret) {
    String value = secret.reveal();
    Set<String> derived = new LinkedHashSet<>();
    String form = URLEncoder.encode(value, StandardCharsets.UTF_8);
    String percent = form.replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
    String json = value.replace("\\", "\\\\").replace("\"", "\\\"");
    derived.add(form);
    derived.add(percent);
    derived.add(lowerHex(form));
    derived.add(lowerHex(percent));
    derived.add(json);
    derived.add(json.replace("/", "\\/"));
    // As JSON is written that may stand in HTML: the first three alone, or all five.
    String inHtml = json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026");
    derived.add(inHtml);
    derived.add(inHtml.replace("=", "\\u003d").replace("'", "\\u0027"));
    String xml = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    derived.add(xml);
    derived.add(xml.replace("\"", "&quot;"));
    derived.add(xml.replace("\"", "&quot;").replace("'", "&#39;"));
    derived.add(xml.replace("\"", "&#34;").replace("'", "&#39;"));
    for (int alignment = 0; alignment < 3; alignment++) {
      String standard = base64(value.getBytes(StandardCharsets.UTF_8), alignment);
      derived.add(standard);
      derived.add(standard.replace('+', '-').replace('/', '_'));
    }
    derived.removeIf(pattern -> pattern.length() < SHORTEST_DERIVED);
    derived.add(value);
    return derived;
  }

  /**
   * The characters that depend on the value alone when {@code alignment} other bytes precede it.
   */
  private static String base64(byte[] value, int alignment) {
    byte[] shifted = new byte[alignment + value.length];
    System.arraycopy(value, 0, shifted, alignment, value.length);
    int begin = (alignment * 8 + 5) / 6;
    int end = shifted.length * 8 / 6;
    return Base64.getEncoder().encodeToString(shifted).substring(begin, Math.max(begin, end));
  }

  private static String lowerHex(String encoded) {
    StringBuilder out = new StringBuilder(encoded);
    for (int i = 0; i + 2 < out.length(); i++) {
      if (out.charAt(i) == '%') {
        out.setCharAt(i + 1, Character.toLowerCase(out.charAt(i + 1)));
        out.setCharAt(i + 2, Character.toLowerCase(out.charAt(i + 2)));
      }
    }
    return out.toString();
  }
}
