package io.valetkey.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** What an agent sees of a stop: its open streams, and request after request. */
final class StopProbe {

  private static final int SECONDS = 60;
  private static final int TRIES = 20;

  private StopProbe() {}

  private static Socket connect(int gateway) {
    try {
      Socket socket = new Socket(InetAddress.getLoopbackAddress(), gateway);
      socket.setTcpNoDelay(true);
      return socket;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void get(Socket socket, String path, String token) throws IOException {
    String head =
        "GET /d/dest-0"
            + path
            + " HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer "
            + token
            + "\r\n\r\n";
    socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
    socket.getOutputStream().flush();
  }

  private static void await(CountDownLatch latch, String what) {
    try {
      if (!latch.await(SECONDS, TimeUnit.SECONDS)) {
        throw new IllegalStateException(what + " did not come");
      }
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Opens an event stream and waits for its first bytes. A busy machine may need several tries:
   * what is measured begins when it is open.
   */
  static Stream open(int gateway, String token) {
    for (int i = 0; true; i++) {
      var stream = new Stream(connect(gateway), token);
      await(stream.begun, "the first event");
      if (stream.first.startsWith("HTTP/1.1 200")) {
        return stream;
      }
      stream.close();
      if (i == TRIES || !stream.first.startsWith("HTTP/1.1 50")) {
        throw new IllegalStateException("not a stream: " + stream.first);
      }
    }
  }

  /** An event stream that is read as it comes. */
  static final class Stream {
    private final Socket socket;
    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile String first = "";
    private volatile long lastByteNanos;
    private volatile long endNanos;

    private Stream(Socket socket, String token) {
      this.socket = socket;
      Thread.ofVirtual().start(() -> read(token));
    }

    private void read(String token) {
      byte[] piece = new byte[4096];
      try {
        get(socket, "/v1/stream", token);
        InputStream in = socket.getInputStream();
        int n = in.read(piece);
        while (n >= 0) {
          lastByteNanos = System.nanoTime();
          if (first.isEmpty()) {
            first = new String(piece, 0, n, StandardCharsets.ISO_8859_1);
            begun.countDown();
          }
          n = in.read(piece);
        }
      } catch (IOException e) {
        // A reset is an end.
      }
      endNanos = System.nanoTime();
      begun.countDown();
      ended.countDown();
    }

    void awaitEnd() {
      await(ended, "the end of a stream");
    }

    long lastByteNanos() {
      return lastByteNanos;
    }

    long endNanos() {
      return endNanos;
    }

    void close() {
      try {
        socket.close();
      } catch (IOException e) {
        // It is closed.
      }
    }
  }

  /** Sends request after request on one connection until one is refused. */
  static final class Prober {
    private final CountDownLatch served = new CountDownLatch(3);
    private final CountDownLatch refused = new CountDownLatch(1);
    private volatile long lastServedNanos;

    Prober(int gateway, String token) {
      Thread.ofVirtual().start(() -> probe(gateway, token));
    }

    private void probe(int gateway, String token) {
      byte[] answer = new byte[8192];
      try (Socket socket = connect(gateway)) {
        while (true) {
          get(socket, "/v1/models", token);
          int n = socket.getInputStream().read(answer);
          String text = new String(answer, 0, Math.max(n, 0), StandardCharsets.ISO_8859_1);
          if (!text.startsWith("HTTP/1.1 200")) {
            break;
          }
          lastServedNanos = System.nanoTime();
          served.countDown();
          Thread.sleep(1);
        }
      } catch (IOException | UncheckedIOException e) {
        // A connection that was cut is a refusal.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      refused.countDown();
    }

    void awaitServed() {
      await(served, "a served request");
    }

    void awaitRefused() {
      await(refused, "a refusal");
    }

    long lastServedNanos() {
      return lastServedNanos;
    }
  }
}
