package io.valetkey.broker.upstream;

import io.valetkey.broker.net.AddressRules;
import io.valetkey.broker.net.CheckedSockets;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.security.GeneralSecurityException;
import java.util.Map;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.jspecify.annotations.Nullable;

/**
 * One request to a provider of tokens, bounded in where it goes and how much comes back: https
 * only, to addresses that destinations may have, no redirects, no proxy, no cookies. How long it
 * may take is its thread's business, which is interrupted: that closes the socket.
 */
public final class ProviderHttp {

  static final int MAX_ANSWER = 64 * 1024;

  private static final int CONNECT_MILLIS = 2_000;
  private static final int READ_MILLIS = 10_000;
  private static final int HTTPS = 443;

  private final AddressRules rules;
  private final CheckedSockets sockets;

  /** What came back. Not a record: a token may be in it. */
  static final class Answer {
    private final int status;
    private final @Nullable String contentType;
    private final byte[] body;

    Answer(int status, @Nullable String contentType, byte[] body) {
      this.status = status;
      this.contentType = contentType;
      this.body = body;
    }

    int status() {
      return status;
    }

    @Nullable String contentType() {
      return contentType;
    }

    byte[] body() {
      return body;
    }
  }

  /**
   * Makes a client.
   *
   * @param rules which addresses it may connect to
   * @param trust whose certificates it believes
   */
  public ProviderHttp(AddressRules rules, TrustManagerFactory trust) {
    this.rules = rules;
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      this.sockets = CheckedSockets.of(context, this::mayConnect);
    } catch (GeneralSecurityException e) {
      throw new IllegalArgumentException("the authorities for providers cannot be used", e);
    }
  }

  private boolean mayConnect(InetSocketAddress address) {
    return rules.allows(address.getAddress(), address.getPort());
  }

  /**
   * Posts.
   *
   * @throws IOException if there is no whole answer; without a word of it in the message
   */
  Answer post(URI uri, String contentType, byte[] body, Map<String, String> headers)
      throws IOException {
    int port = uri.getPort() < 0 ? HTTPS : uri.getPort();
    if (!"https".equals(uri.getScheme()) || uri.getHost() == null) {
      throw new IOException("the address is no https URL");
    }
    // One bad address refuses the name; the one that is connected to is asked about once more.
    for (InetAddress address : InetAddress.getAllByName(uri.getHost())) {
      if (!mayConnect(new InetSocketAddress(address, port))) {
        throw new IOException("the name leads to an address that is not allowed");
      }
    }
    HttpsURLConnection connection = (HttpsURLConnection) uri.toURL().openConnection(Proxy.NO_PROXY);
    try {
      connection.setSSLSocketFactory(sockets);
      connection.setInstanceFollowRedirects(false);
      connection.setUseCaches(false);
      connection.setConnectTimeout(CONNECT_MILLIS);
      connection.setReadTimeout(READ_MILLIS);
      connection.setRequestMethod("POST");
      connection.setRequestProperty("Content-Type", contentType);
      connection.setRequestProperty("Accept", "application/json");
      headers.forEach(connection::setRequestProperty);
      connection.setDoOutput(true);
      // Not streamed: then the JDK would not give us the body of a 401, which says why.
      try (OutputStream out = connection.getOutputStream()) {
        out.write(body);
      }
      int status = connection.getResponseCode();
      return new Answer(status, connection.getContentType(), read(connection, status));
    } finally {
      // Rare enough: nothing is kept open for the next time.
      connection.disconnect();
    }
  }

  private static byte[] read(HttpsURLConnection connection, int status) throws IOException {
    try (InputStream in =
        status >= 400 ? connection.getErrorStream() : connection.getInputStream()) {
      if (in == null) {
        return new byte[0];
      }
      byte[] body = in.readNBytes(MAX_ANSWER + 1);
      if (body.length > MAX_ANSWER) {
        throw new IOException("the answer is larger than 64 KiB");
      }
      return body;
    }
  }
}
