package io.valetkey.broker.issuance;

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * The documents of an issuer that everybody may read and keep for a minute: its key set (RFC 7517)
 * at one path, its metadata at every other. 503 while one cannot be had.
 */
abstract class PublishedDocuments extends HttpServlet {

  private static final long serialVersionUID = 1L;
  private static final Logger log = LoggerFactory.getLogger(PublishedDocuments.class);
  private static final JsonMapper JSON = JsonMapper.shared();

  /** Shorter than the time between the publication of a key and its first use matters to nobody. */
  private static final String CACHE = "public, max-age=60";

  private final String keySetPath;

  PublishedDocuments(String keySetPath) {
    this.keySetPath = keySetPath;
  }

  /**
   * The key set.
   *
   * @throws IOException if it cannot be had now, with a sentence that says why
   */
  abstract Map<String, Object> keySet() throws IOException;

  /**
   * The metadata.
   *
   * @throws IOException if it cannot be had now, with a sentence that says why
   */
  abstract Map<String, Object> metadata() throws IOException;

  @Override
  protected final void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    boolean head = "HEAD".equals(request.getMethod());
    if (!head && !"GET".equals(request.getMethod())) {
      response.setHeader("Allow", "GET, HEAD");
      JsonAnswer.send(response, 405, Map.of("error", "invalid_request"));
      return;
    }
    boolean jwks = keySetPath.equals(request.getRequestURI());
    byte[] body;
    try {
      body = JSON.writeValueAsBytes(jwks ? keySet() : metadata());
    } catch (IOException e) {
      log.error("{} cannot be published: {}", request.getRequestURI(), e.getMessage());
      response.setHeader("Retry-After", "5");
      JsonAnswer.send(response, 503, Map.of("error", "temporarily_unavailable"));
      return;
    }
    response.setContentType(jwks ? "application/jwk-set+json" : "application/json");
    response.setHeader("Cache-Control", CACHE);
    response.setContentLength(body.length);
    if (!head) {
      response.getOutputStream().write(body);
    }
  }
}
