package io.valetkey.broker;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;

/** Stands between a program and the gateway, speaks TLS to both, and keeps every byte. */
final class RecordingRelay implements AutoCloseable {

  private final SSLServerSocket server;
  private final SSLContext trust;
  private final URI gateway;
  private final ByteArrayOutputStream seen = new ByteArrayOutputStream();
  private final Set<Socket> open = ConcurrentHashMap.newKeySet();

  /**
   * Listens as {@code localhost}.
   *
   * @param own with the certificate of {@code localhost}
   * @param trust what the gateway's certificate is checked against
   */
  RecordingRelay(SSLContext own, SSLContext trust, URI gateway) throws IOException {
    this.trust = trust;
    this.gateway = gateway;
    this.server =
        (SSLServerSocket)
            own.getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  String url() {
    return "https://localhost:" + server.getLocalPort();
  }

  /** Everything that went either way, one character for each byte. */
  String seen() {
    synchronized (seen) {
      return seen.toString(StandardCharsets.ISO_8859_1);
    }
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket program = server.accept();
        Socket upstream =
            trust.getSocketFactory().createSocket(gateway.getHost(), gateway.getPort());
        open.add(program);
        open.add(upstream);
        Thread.ofVirtual().start(() -> pump(program, upstream));
        Thread.ofVirtual().start(() -> pump(upstream, program));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void pump(Socket from, Socket to) {
    try (from;
        to) {
      InputStream in = from.getInputStream();
      OutputStream out = to.getOutputStream();
      byte[] buffer = new byte[16 << 10];
      for (int count = in.read(buffer); count > 0; count = in.read(buffer)) {
        synchronized (seen) {
          seen.write(buffer, 0, count);
        }
        out.write(buffer, 0, count);
        out.flush();
      }
    } catch (IOException e) {
      // The other direction has ended, and both sockets with it.
      return;
    } finally {
      open.remove(from);
      open.remove(to);
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
    for (Socket socket : open) {
      socket.close();
    }
  }
}
