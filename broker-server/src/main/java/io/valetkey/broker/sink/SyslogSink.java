package io.valetkey.broker.sink;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;

/**
 * RFC 5424 messages over TCP with octet counting (RFC 6587 section 3.4.1), or over TLS (RFC 5425).
 * Syslog acknowledges nothing: what the network had taken when a connection broke may be lost.
 */
public final class SyslogSink implements Sink {

  private static final int LOG_AUDIT = 13;
  private static final int TIMEOUT_MILLIS = 10_000;

  private final InetSocketAddress address;
  private final @Nullable SSLSocketFactory tls;
  private @Nullable Socket socket;

  /** Without {@code tls} whoever is on the way can read and change everything. */
  public SyslogSink(String host, int port, @Nullable SSLSocketFactory tls) {
    this.address = InetSocketAddress.createUnresolved(host, port);
    this.tls = tls;
  }

  @Override
  public String name() {
    return "syslog";
  }

  @Override
  public void deliver(String batch, List<Event> events) throws IOException {
    var frames = new ByteArrayOutputStream();
    for (Event event : events) {
      byte[] message = message(event).getBytes(StandardCharsets.UTF_8);
      frames.writeBytes((message.length + " ").getBytes(StandardCharsets.US_ASCII));
      frames.writeBytes(message);
    }
    try {
      Socket open = usable();
      Thread guard = Thread.ofVirtual().name("audit-syslog-guard").start(() -> closeLater(open));
      var out = new BufferedOutputStream(open.getOutputStream());
      frames.writeTo(out);
      out.flush();
      guard.interrupt();
    } catch (IOException e) {
      close();
      throw e;
    }
  }

  /**
   * A receiver that does not read would hold a write for ever; no time-out of a socket bounds it.
   */
  private static void closeLater(Socket open) {
    try {
      Thread.sleep(TIMEOUT_MILLIS);
      open.close();
    } catch (InterruptedException e) {
      // It was written in time.
    } catch (IOException e) {
      // It is closed all the same.
    }
  }

  private static String message(Event event) throws IOException {
    int priority = LOG_AUDIT * 8 + event.severity();
    String host = InetAddress.getLocalHost().getHostName();
    return "<"
        + priority
        + ">1 "
        + event.time()
        + " "
        + host
        + " valetkey - audit - "
        + event.json();
  }

  private Socket usable() throws IOException {
    Socket open = socket;
    if (open != null && !endedByPeer(open)) {
      return open;
    }
    close();
    Socket plain = new Socket();
    plain.connect(
        new InetSocketAddress(address.getHostString(), address.getPort()), TIMEOUT_MILLIS);
    socket = plain;
    if (tls != null) {
      SSLSocket secured =
          (SSLSocket) tls.createSocket(plain, address.getHostString(), address.getPort(), true);
      socket = secured;
      SSLParameters parameters = secured.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      secured.setSSLParameters(parameters);
      secured.setSoTimeout(TIMEOUT_MILLIS);
      secured.startHandshake();
      return secured;
    }
    return plain;
  }

  /** A receiver says nothing, so whatever can be read is the end. */
  private static boolean endedByPeer(Socket open) throws IOException {
    open.setSoTimeout(1);
    try {
      return open.getInputStream().read() < 0;
    } catch (SocketTimeoutException e) {
      return false;
    } catch (IOException e) {
      return true;
    }
  }

  private void close() throws IOException {
    if (socket != null) {
      socket.close();
      socket = null;
    }
  }
}
