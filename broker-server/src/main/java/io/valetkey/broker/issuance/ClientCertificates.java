package io.valetkey.broker.issuance;

import jakarta.servlet.http.HttpServletRequest;
import java.security.cert.X509Certificate;
import java.util.List;

/**
 * The certificates that callers have shown, and proved to have the keys of, in the TLS handshake of
 * the very connection that a request came in by. A header that speaks of one is never looked at.
 */
public final class ClientCertificates {

  /** Set by the container from the connection (Jakarta Servlet section 3.9). */
  private static final String ATTRIBUTE = "jakarta.servlet.request.X509Certificate";

  private final boolean on;

  /**
   * Makes one.
   *
   * @param on whether there is a listener that asks for certificates; if not, nobody has one
   */
  public ClientCertificates(boolean on) {
    this.on = on;
  }

  /** The chain of the connection, the leaf first; empty if there is none. Nothing is verified. */
  List<X509Certificate> of(HttpServletRequest request) {
    return on && request.getAttribute(ATTRIBUTE) instanceof X509Certificate[] chain
        ? List.of(chain)
        : List.of();
  }
}
