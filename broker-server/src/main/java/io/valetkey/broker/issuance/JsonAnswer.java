package io.valetkey.broker.issuance;

import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** Writes small JSON answers that nobody may keep. */
final class JsonAnswer {

  private static final JsonMapper JSON = JsonMapper.shared();

  private JsonAnswer() {}

  static void send(HttpServletResponse response, int status, Map<String, ?> members)
      throws IOException {
    send(response, status, members, "application/json");
  }

  static void send(
      HttpServletResponse response, int status, Map<String, ?> members, String contentType)
      throws IOException {
    byte[] body = JSON.writeValueAsBytes(members);
    response.setStatus(status);
    response.setContentType(contentType);
    response.setHeader("Cache-Control", "no-store");
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setContentLength(body.length);
    response.getOutputStream().write(body);
  }
}
