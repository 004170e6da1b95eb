package io.valetkey.broker.gateway;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** A program behind the forward proxy: CONNECT, then TLS with the proxy's authority trusted. */
final class TestTunnel implements AutoCloseable {

  private final TestHttp outer;
  private final SSLSocket tls;
  private final InputStream in;

  private TestTunnel(TestHttp outer, SSLSocket tls) throws IOException {
    this.outer = outer;
    this.tls = tls;
    this.in = new BufferedInputStream(tls.getInputStream());
  }

  static TestTunnel open(TestGateway gateway, String authority, String token) throws Exception {
    TestTunnel tunnel = dial(gateway, authority, token);
    tunnel.tls.startHandshake();
    return tunnel;
  }

  /** The same with the TLS inside still to begin. */
  static TestTunnel dial(TestGateway gateway, String authority, String token) throws Exception {
    return dial(gateway, authority, token, trusting(gateway));
  }

  /** A program that trusts its destination itself. */
  static TestTunnel dial(TestGateway gateway, String authority, String token, SSLContext trusting)
      throws Exception {
    TestHttp outer = gateway.proxyCaller();
    outer.send(
        "CONNECT "
            + authority
            + " HTTP/1.1\r\nHost: "
            + authority
            + "\r\nProxy-Authorization: Bearer "
            + token
            + "\r\n\r\n");
    TestHttp.Answer answer = outer.read(true);
    if (answer.status() != 200) {
      throw new IOException("refused with " + answer.status());
    }
    SSLSocket tls = over(outer.socket, trusting, authority.substring(0, authority.indexOf(':')));
    return new TestTunnel(outer, tls);
  }

  /** TLS that is still to begin, with this server name or none. */
  static SSLSocket over(Socket socket, TestGateway gateway, String name) throws Exception {
    return over(socket, trusting(gateway), name);
  }

  private static SSLContext trusting(TestGateway gateway) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("ca", gateway.certificates.authority().trusted());
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  private static SSLSocket over(Socket socket, SSLContext context, String name) throws Exception {
    var tls =
        (SSLSocket)
            context
                .getSocketFactory()
                .createSocket(socket, name == null ? "127.0.0.1" : name, 443, false);
    SSLParameters parameters = tls.getSSLParameters();
    parameters.setServerNames(name == null ? List.of() : List.of(sni(name)));
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    tls.setSSLParameters(parameters);
    return tls;
  }

  private static SNIHostName sni(String name) {
    return new SNIHostName(name.getBytes(StandardCharsets.US_ASCII));
  }

  SSLSocket tls() {
    return tls;
  }

  InputStream in() {
    return in;
  }

  TestTunnel send(String bytes) throws IOException {
    tls.getOutputStream().write(bytes.getBytes(StandardCharsets.ISO_8859_1));
    tls.getOutputStream().flush();
    return this;
  }

  TestHttp.Answer read() throws IOException {
    return read(false);
  }

  TestHttp.Answer read(boolean headOnly) throws IOException {
    return TestHttp.read(in, headOnly);
  }

  boolean isClosed() throws IOException {
    try {
      return in.read() < 0;
    } catch (IOException e) {
      return !(e instanceof java.net.SocketTimeoutException);
    }
  }

  @Override
  public void close() throws IOException {
    // Not TLS's own closing, which would wait for a peer that is gone.
    outer.close();
  }
}
