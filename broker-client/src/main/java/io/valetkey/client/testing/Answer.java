package io.valetkey.client.testing;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What the pretended upstream answers.
 *
 * @param status the HTTP status, 200 to 599
 * @param headers one value for each name
 * @param body the body as text, sent in UTF-8
 */
public record Answer(int status, Map<String, String> headers, String body) {
  public Answer {
    if (status < 200 || status > 599) {
      throw new IllegalArgumentException("Not a final HTTP status: " + status);
    }
    headers = Map.copyOf(headers);
  }

  /** A 200 with a JSON body. */
  public static Answer json(String body) {
    return new Answer(200, Map.of("Content-Type", "application/json"), body);
  }

  /** Only a status. */
  public static Answer status(int status) {
    return new Answer(status, Map.of(), "");
  }

  /** This answer with one header more. */
  public Answer with(String header, String value) {
    Map<String, String> more = new LinkedHashMap<>(headers);
    more.put(header, value);
    return new Answer(status, more, body);
  }

  byte[] bytes() {
    return body.getBytes(StandardCharsets.UTF_8);
  }
}
