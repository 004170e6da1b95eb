package io.valetkey.client.testing;

import java.util.List;
import java.util.Map;

/**
 * A request as the upstream behind the gateway would see it: after the token was checked and every
 * credential slot was emptied.
 *
 * @param destination the name in {@code /d/{destination}}
 * @param method the HTTP method
 * @param path the raw path after the destination, with the query if there was one
 * @param headers the headers, names in lower case
 * @param body the body read as UTF-8
 */
public record ReceivedRequest(
    String destination,
    String method,
    String path,
    Map<String, List<String>> headers,
    String body) {
  public ReceivedRequest {
    headers = Map.copyOf(headers);
  }
}
