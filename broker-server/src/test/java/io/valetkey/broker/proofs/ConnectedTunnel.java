package io.valetkey.broker.proofs;

import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/** A program's way through the forward proxy to {@code localhost}. */
final class ConnectedTunnel {

  private ConnectedTunnel() {}

  /**
   * Asks for a tunnel by CONNECT, and speaks TLS in it.
   *
   * @param outer a connection to the proxy
   * @param port where on {@code localhost} it leads
   * @param trusted whose certificate has to be met in it
   * @throws IOException with the proxy's answer, if that is not a tunnel
   */
  static SSLSocket open(Socket outer, int port, String token, Path trusted) throws IOException {
    String origin = "localhost:" + port;
    outer
        .getOutputStream()
        .write(
            ("CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n"
                    .formatted(origin, origin, token))
                .getBytes(StandardCharsets.ISO_8859_1));
    StringBuilder head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int c = outer.getInputStream().read();
      if (c < 0) {
        throw new IOException("closed after " + head);
      }
      head.append((char) c);
    }
    if (!head.toString().startsWith("HTTP/1.1 200")) {
      outer.close();
      throw new IOException(head.toString());
    }
    var tls =
        (SSLSocket)
            TestAuthority.trusting(trusted)
                .getSocketFactory()
                .createSocket(outer, "localhost", port, true);
    SSLParameters parameters = tls.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    // Java sends no name without a dot by itself.
    parameters.setServerNames(List.of(new SNIHostName("localhost")));
    tls.setSSLParameters(parameters);
    tls.startHandshake();
    return tls;
  }
}
