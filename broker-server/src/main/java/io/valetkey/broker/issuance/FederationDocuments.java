package io.valetkey.broker.issuance;

import io.valetkey.broker.upstream.Federation;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.databind.json.JsonMapper;

/**
 * What providers read of the issuer that they trust instead of a stored key: its discovery document
 * (OpenID Connect Discovery 1.0 section 4) and its key set (RFC 7517). 503 while the keys cannot be
 * had.
 */
final class FederationDocuments extends HttpServlet {

  private static final long serialVersionUID = 1L;
  private static final Logger log = LoggerFactory.getLogger(FederationDocuments.class);
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final String CACHE = "public, max-age=60";

  private final transient Federation federation;

  FederationDocuments(Federation federation) {
    this.federation = federation;
  }

  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response)
      throws IOException {
    boolean head = "HEAD".equals(request.getMethod());
    if (!head && !"GET".equals(request.getMethod())) {
      response.setHeader("Allow", "GET, HEAD");
      JsonAnswer.send(response, 405, Map.of("error", "invalid_request"));
      return;
    }
    boolean jwks = OAuthPaths.FEDERATION_JWKS.equals(request.getRequestURI());
    byte[] body;
    try {
      body =
          JSON.writeValueAsBytes(
              jwks
                  ? federation.keySet()
                  : federation.metadata(federation.issuer() + OAuthPaths.FEDERATION_KEYS));
    } catch (IOException e) {
      log.error("The federation's keys cannot be published: {}", e.getMessage());
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
