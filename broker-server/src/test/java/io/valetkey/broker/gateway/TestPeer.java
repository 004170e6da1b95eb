package io.valetkey.broker.gateway;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A server that speaks nothing: the test itself reads and writes each of its connections. */
final class TestPeer implements AutoCloseable {

  private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final BlockingQueue<Socket> accepted = new LinkedBlockingQueue<>();
  private final Thread accepting;

  TestPeer() throws IOException {
    accepting = Thread.ofPlatform().daemon().start(this::accept);
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        socket.setSoTimeout(20_000);
        accepted.add(socket);
      } catch (IOException e) {
        return;
      }
    }
  }

  int port() {
    return server.getLocalPort();
  }

  /** The next connection, which must come. */
  Socket next() throws Exception {
    Socket socket = accepted.poll(20, TimeUnit.SECONDS);
    if (socket == null) {
      throw new IOException("nobody connected");
    }
    return socket;
  }

  /** Whether nobody has connected since. */
  boolean isUntouched() {
    return accepted.isEmpty();
  }

  @Override
  public void close() throws IOException, InterruptedException {
    server.close();
    // The port is free once nobody waits at it any more.
    accepting.join();
    for (Socket socket : accepted) {
      socket.close();
    }
  }
}
