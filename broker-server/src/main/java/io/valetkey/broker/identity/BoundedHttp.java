package io.valetkey.broker.identity;

import io.valetkey.broker.net.CheckedSockets;
import io.valetkey.broker.secret.SecretValue;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import javax.net.ssl.HttpsURLConnection;
import org.jspecify.annotations.Nullable;

/**
 * One request to an issuer, bounded in everything: where to, how long, how much. No redirects, no
 * proxy, no cookies. The JDK's older client is used because it alone lets us see the resolved
 * address before it connects to it.
 */
final class BoundedHttp {

  static final int MAX_BODY = 100 * 1024;
  static final Duration CONNECT_WITHIN = Duration.ofSeconds(2);
  static final Duration ANSWER_WITHIN = Duration.ofSeconds(5);

  private static final int MAX_BEARER = 16 * 1024;

  private final Predicate<InetAddress> mayConnect;
  private final boolean allowLoopbackHttp;

  /** By CA: reading one costs more than a handshake, and open connections belong to a factory. */
  private final Map<String, CheckedSockets> sockets = new ConcurrentHashMap<>();

  BoundedHttp(Predicate<InetAddress> mayConnect, boolean allowLoopbackHttp) {
    this.mayConnect = mayConnect;
    this.allowLoopbackHttp = allowLoopbackHttp;
  }

  /**
   * Sends one request.
   *
   * @param json the body of a POST; a GET if null
   * @param within how long all of it may take, from the first packet to the last byte
   * @return the body of a successful answer
   * @throws IOException for anything else, without a word of the answer in it
   */
  byte[] exchange(URI uri, Tls tls, byte @Nullable [] json, Duration within) throws IOException {
    return exchange(
        uri, tls, json == null ? null : new Body("application/json", json, null), within);
  }

  /**
   * Posts a form; the answer is taken as that of {@link #exchange}.
   *
   * @param authorization the header of that name, if any
   */
  byte[] post(URI uri, String form, @Nullable SecretValue authorization, Duration within)
      throws IOException {
    byte[] bytes = form.getBytes(StandardCharsets.US_ASCII);
    return exchange(
        uri,
        Tls.PLATFORM,
        new Body("application/x-www-form-urlencoded", bytes, authorization),
        within);
  }

  /** Reads a JSON object. */
  Map<String, @Nullable Object> document(URI uri, Tls tls) throws IOException {
    try {
      return StrictJson.object(exchange(uri, tls, (Body) null, ANSWER_WITHIN));
    } catch (IllegalArgumentException e) {
      throw new IOException("the answer is not the JSON that is expected", e);
    }
  }

  /** What is posted. Not a record, which would print it. */
  private static final class Body {
    private final String type;
    private final byte[] bytes;
    private final @Nullable SecretValue authorization;

    Body(String type, byte[] bytes, @Nullable SecretValue authorization) {
      this.type = type;
      this.bytes = bytes;
      this.authorization = authorization;
    }
  }

  private byte[] exchange(URI uri, Tls tls, @Nullable Body sent, Duration within)
      throws IOException {
    long end = System.nanoTime() + within.toNanos();
    HttpURLConnection connection = open(uri, tls, within);
    Thread deadline =
        Thread.ofVirtual()
            .start(() -> {
              try {
                Thread.sleep(within);
                connection.disconnect();
              } catch (InterruptedException e) {
                // The answer came in time.
              }
            });
    try {
      return answer(connection, tls, sent, end);
    } catch (IOException | RuntimeException e) {
      connection.disconnect();
      throw e;
    } finally {
      deadline.interrupt();
    }
  }

  private HttpURLConnection open(URI uri, Tls tls, Duration within) throws IOException {
    if (uri.getHost() == null || uri.getUserInfo() != null) {
      throw new IOException("the address has no host, or a user");
    }
    boolean https = "https".equals(uri.getScheme());
    if (!https && !(allowLoopbackHttp && "http".equals(uri.getScheme()) && loopback(uri))) {
      throw new IOException("only https is allowed");
    }
    HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection(Proxy.NO_PROXY);
    if (https) {
      ((HttpsURLConnection) connection).setSSLSocketFactory(sockets(tls.caCertificatePem()));
    }
    connection.setInstanceFollowRedirects(false);
    connection.setUseCaches(false);
    int millis = (int) Math.max(1, within.toMillis()); // 0 would mean for ever
    connection.setConnectTimeout(Math.min(millis, (int) CONNECT_WITHIN.toMillis()));
    connection.setReadTimeout(millis);
    return connection;
  }

  private CheckedSockets sockets(@Nullable String caCertificatePem) throws IOException {
    String key = caCertificatePem == null ? "" : caCertificatePem;
    CheckedSockets known = sockets.get(key);
    if (known == null) {
      known =
          CheckedSockets.trusting(
              caCertificatePem, address -> mayConnect.test(address.getAddress()));
      sockets.put(key, known);
    }
    return known;
  }

  /**
   * Literals only, and localhost, which never leaves the machine: nothing is resolved elsewhere.
   */
  private boolean loopback(URI uri) throws IOException {
    if (!Set.of("localhost", "127.0.0.1", "[::1]").contains(uri.getHost())) {
      return false;
    }
    for (InetAddress address : InetAddress.getAllByName(uri.getHost())) {
      if (!address.isLoopbackAddress() || !mayConnect.test(address)) {
        return false;
      }
    }
    return true;
  }

  private static byte[] answer(HttpURLConnection connection, Tls tls, @Nullable Body sent, long end)
      throws IOException {
    connection.setRequestProperty("Accept", "application/json, application/jwk-set+json");
    if (tls.bearerTokenFile() != null) {
      connection.setRequestProperty("Authorization", "Bearer " + bearer(tls.bearerTokenFile()));
    }
    if (sent != null) {
      connection.setRequestMethod("POST");
      connection.setRequestProperty("Content-Type", sent.type);
      if (sent.authorization != null) {
        connection.setRequestProperty("Authorization", sent.authorization.reveal());
      }
      connection.setDoOutput(true);
      connection.setFixedLengthStreamingMode(sent.bytes.length);
      try (OutputStream out = connection.getOutputStream()) {
        out.write(sent.bytes);
      }
    }
    int status = connection.getResponseCode();
    if (status != 200 && !(sent != null && status == 201)) {
      throw new IOException("the answer has status " + status);
    }
    return body(connection, end);
  }

  private static byte[] body(HttpURLConnection connection, long end) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    byte[] buffer = new byte[8192];
    try (InputStream in = connection.getInputStream()) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        body.write(buffer, 0, n);
        if (body.size() > MAX_BODY) {
          connection.disconnect();
          throw new IOException("the answer is larger than " + MAX_BODY + " bytes");
        }
        if (System.nanoTime() - end > 0) {
          connection.disconnect();
          throw new IOException("the answer takes too long");
        }
      }
    }
    return body.toByteArray();
  }

  /** Read again each time: the platform replaces such files. */
  private static String bearer(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      String token = new String(in.readNBytes(MAX_BEARER), StandardCharsets.UTF_8).strip();
      if (token.isEmpty() || !token.chars().allMatch(c -> c > ' ' && c < 127)) {
        throw new IOException("the bearer file holds no token");
      }
      return token;
    }
  }
}
