package io.valetkey.broker.gateway;

import java.util.Set;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * What an upstream says in TLS about the certificate that it was shown. With TLS 1.3 it says so
 * after the handshake is over for us, so that the request may be on its way.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc8446#section-6.2">RFC 8446 section 6.2</a>
 */
final class TlsRefusal {

  private static final String RECEIVED = "Received fatal alert: ";

  /** Alerts that are about the peer's certificate, or that it is missing (TLS 1.2). */
  private static final Set<String> ABOUT_US =
      Set.of(
          "access_denied",
          "bad_certificate",
          "bad_certificate_status_response",
          "certificate_expired",
          "certificate_required",
          "certificate_revoked",
          "certificate_unknown",
          "certificate_unobtainable",
          "decrypt_error",
          "handshake_failure",
          "unknown_ca",
          "unsupported_certificate");

  private TlsRefusal() {}

  /** The name of the alert; null if the failure is not one about our certificate. */
  static @Nullable String alert(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      String message = cause.getMessage();
      // The JDK tells alerts apart by its message only.
      int at = cause instanceof SSLException && message != null ? message.indexOf(RECEIVED) : -1;
      if (message != null && at >= 0) {
        String alert = message.substring(at + RECEIVED.length());
        return ABOUT_US.contains(alert) ? alert : null;
      }
    }
    return null;
  }
}
