package io.valetkey.broker.gateway;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;

/** A real TLS upstream that keeps what it received and answers by a script, byte for byte. */
final class TestUpstream implements AutoCloseable {

  /** One request as it arrived. */
  record Received(String head, InputStream body) {

    List<String> values(String name) {
      return head.lines()
          .skip(1)
          .filter(l -> l.toLowerCase(Locale.ROOT).startsWith(name.toLowerCase(Locale.ROOT) + ":"))
          .map(l -> l.substring(name.length() + 1).strip())
          .toList();
    }

    String requestLine() {
      return head.lines().findFirst().orElse("");
    }

    String text() throws IOException {
      if (!values("transfer-encoding").isEmpty()) {
        return TestHttp.chunks(body);
      }
      List<String> length = values("content-length");
      return new String(
          body.readNBytes(length.isEmpty() ? 0 : Integer.parseInt(length.getFirst())),
          StandardCharsets.ISO_8859_1);
    }
  }

  /** Answers one request. */
  interface Script {
    void answer(Received request, OutputStream out) throws Exception;
  }

  final List<Received> requests = new CopyOnWriteArrayList<>();
  final AtomicInteger connections = new AtomicInteger();
  final AtomicInteger closedByPeer = new AtomicInteger();
  volatile Script script;
  private final SSLServerSocket server;

  TestUpstream(SSLContext context, Script script) throws IOException {
    this.script = script;
    this.server =
        (SSLServerSocket)
            context
                .getServerSocketFactory()
                .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.ofVirtual().start(this::accept);
  }

  int port() {
    return server.getLocalPort();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        connections.incrementAndGet();
        Thread.ofVirtual().start(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      InputStream in = new BufferedInputStream(socket.getInputStream());
      while (true) {
        String head = TestHttp.head(in);
        if (head.isEmpty()) {
          closedByPeer.incrementAndGet();
          return;
        }
        Received received = new Received(head, in);
        requests.add(received);
        script.answer(received, socket.getOutputStream());
        socket.getOutputStream().flush();
      }
    } catch (Exception e) {
      closedByPeer.incrementAndGet();
    }
  }

  static void ok(OutputStream out, String body) throws IOException {
    out.write(
        ("HTTP/1.1 200 OK\r\nContent-Length: " + body.length() + "\r\n\r\n" + body)
            .getBytes(StandardCharsets.ISO_8859_1));
    out.flush();
  }

  static void raw(OutputStream out, String bytes) throws IOException {
    out.write(bytes.getBytes(StandardCharsets.ISO_8859_1));
    out.flush();
  }

  static byte[] gzip(String text) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (var gzip = new java.util.zip.GZIPOutputStream(bytes)) {
      gzip.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }
    return bytes.toByteArray();
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
