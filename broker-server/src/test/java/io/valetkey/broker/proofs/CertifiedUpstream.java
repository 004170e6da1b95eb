package io.valetkey.broker.proofs;

import io.valetkey.realparts.TestCertificate;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** A destination that takes no connection without a certificate of one authority. */
final class CertifiedUpstream implements AutoCloseable {

  /** A request, with what its connection was begun with. */
  record Received(int connection, X509Certificate client, String head, Instant at) {}

  final List<Received> received = new CopyOnWriteArrayList<>();
  final AtomicInteger ended = new AtomicInteger();
  final AtomicInteger refused = new AtomicInteger();
  volatile String status = "200 OK";
  private final AtomicInteger connections = new AtomicInteger();
  private final SSLServerSocket server;

  /**
   * Listens on a loopback port.
   *
   * @param own its certificate
   * @param clients the authority of its clients
   * @param protocol the only version of TLS that it speaks, as {@code TLSv1.3}
   */
  CertifiedUpstream(TestCertificate own, X509Certificate clients, String protocol)
      throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    store.setCertificateEntry("clients", clients);
    var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(own.keyManagers(), trust.getTrustManagers(), null);
    server =
        (SSLServerSocket)
            context
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
    server.setNeedClientAuth(true);
    server.setEnabledProtocols(new String[] {protocol});
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        SSLSocket socket = (SSLSocket) server.accept();
        Thread.ofVirtual().start(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(SSLSocket socket) {
    X509Certificate client;
    try (socket) {
      try {
        socket.startHandshake();
        client = (X509Certificate) socket.getSession().getPeerCertificates()[0];
      } catch (IOException e) {
        refused.incrementAndGet();
        return;
      }
      int connection = connections.incrementAndGet();
      InputStream in = new BufferedInputStream(socket.getInputStream());
      while (true) {
        String head = head(in);
        if (head.isEmpty()) {
          break;
        }
        received.add(new Received(connection, client, head, Instant.now()));
        socket
            .getOutputStream()
            .write(
                ("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nok")
                    .getBytes(StandardCharsets.ISO_8859_1));
      }
    } catch (IOException e) {
      // As good an end as any other.
    }
    ended.incrementAndGet();
  }

  private static String head(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int c = in.read();
      if (c < 0) {
        return "";
      }
      head.append((char) c);
    }
    return head.toString();
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
