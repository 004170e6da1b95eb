package io.valetkey.broker.proofs;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** One request on a connection of its own, whose answer is read as it comes, byte for byte. */
final class OpenStream implements AutoCloseable {

  final Socket socket;
  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);
  private final StringBuffer text = new StringBuffer();
  volatile long lastByteNanos;
  volatile long endNanos;
  volatile long bytes;

  private OpenStream(Socket socket) {
    this.socket = socket;
    Thread.ofVirtual().start(this::read);
  }

  /** Sends the head of a request; what it says after that is the caller's matter. */
  static OpenStream send(String gatewayUrl, String head) throws IOException {
    URI uri = URI.create(gatewayUrl);
    Socket socket = new Socket(uri.getHost(), uri.getPort());
    var stream = new OpenStream(socket);
    stream.write(head);
    return stream;
  }

  /** An answer that streams until somebody ends it. */
  static OpenStream open(String gatewayUrl, String token) throws Exception {
    OpenStream stream = send(gatewayUrl, head("GET", "/stream", token, ""));
    stream.awaitBegin();
    return stream;
  }

  /** The same on a connection that is there already. */
  static OpenStream over(Socket socket, String token) throws Exception {
    var stream = new OpenStream(socket);
    stream.write(head("GET", "/stream", token, ""));
    stream.awaitBegin();
    return stream;
  }

  static String head(String method, String path, String token, String fields) {
    return method
        + " /d/openai"
        + path
        + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer "
        + token
        + "\r\n"
        + fields
        + "\r\n";
  }

  void write(String more) throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(more.getBytes(StandardCharsets.ISO_8859_1));
    out.flush();
  }

  private void read() {
    byte[] piece = new byte[4096];
    try {
      InputStream in = socket.getInputStream();
      int n = in.read(piece);
      while (n >= 0) {
        lastByteNanos = System.nanoTime();
        bytes += n;
        if (text.length() < 4096) {
          text.append(new String(piece, 0, n, StandardCharsets.ISO_8859_1));
        }
        begun.countDown();
        n = in.read(piece);
      }
    } catch (IOException e) {
      // A reset ends it as well.
    }
    endNanos = System.nanoTime();
    begun.countDown();
    ended.countDown();
  }

  void awaitBegin() throws Exception {
    if (!begun.await(30, TimeUnit.SECONDS) || !text.toString().startsWith("HTTP/1.1 200")) {
      throw new AssertionError("did not begin: " + text);
    }
  }

  /** The first bytes of the answer, once there are some. */
  String text() {
    return text.toString();
  }

  boolean awaitEnd(long seconds) throws InterruptedException {
    return ended.await(seconds, TimeUnit.SECONDS);
  }

  boolean hasEnded() {
    return ended.getCount() == 0;
  }

  /** Whether the answer looks as if it were whole. */
  boolean looksComplete() {
    return text.toString().endsWith("0\r\n\r\n");
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
