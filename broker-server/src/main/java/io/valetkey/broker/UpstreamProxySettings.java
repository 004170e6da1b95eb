package io.valetkey.broker;

import io.valetkey.broker.gateway.UpstreamProxy;
import io.valetkey.broker.secret.SecretValue;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The network's own proxy, behind which destinations are.
 *
 * @param host its name or address
 * @param port its port
 * @param credentials a file with user, colon and password; null if it asks nobody
 * @param except names that are reached straight, with all below them
 */
record UpstreamProxySettings(
    String host, int port, @Nullable Path credentials, List<String> except) {

  private static final String URL = "gateway.upstream-proxy.url";
  private static final String CREDENTIALS = "gateway.upstream-proxy.credentials-file";
  private static final String EXCEPT = "gateway.upstream-proxy.except";

  /** Reads them; null if there is no proxy. */
  static @Nullable UpstreamProxySettings read(SettingsReader reader) {
    String url = reader.text(URL);
    Path credentials = reader.file(CREDENTIALS);
    List<String> except = reader.list(EXCEPT);
    for (String name : except) {
      if (!InterceptionSettings.isDomain(name)) {
        reader.problem(EXCEPT, "must be names in lower case");
      }
    }
    if (url == null) {
      if (credentials != null || !except.isEmpty()) {
        reader.problem("gateway.upstream-proxy.*", "needs valetkey." + URL);
      }
      return null;
    }
    URI uri = proxy(url);
    if (uri == null) {
      reader.problem(URL, "must be http://host:port, without a user or a path");
      return null;
    }
    String host = uri.getHost();
    String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    return new UpstreamProxySettings(bare, uri.getPort(), credentials, except);
  }

  private static @Nullable URI proxy(String url) {
    try {
      URI uri = new URI(url);
      boolean whole =
          "http".equals(uri.getScheme())
              && uri.getHost() != null
              && uri.getPort() > 0
              && uri.getPort() <= 65535
              && uri.getUserInfo() == null
              && uri.getRawPath().isEmpty()
              && uri.getRawQuery() == null
              && uri.getRawFragment() == null;
      return whole ? uri : null;
    } catch (URISyntaxException e) {
      return null;
    }
  }

  /**
   * The proxy, with what it asks for.
   *
   * @throws InvalidSettingsException if the file does not hold it
   */
  UpstreamProxy proxy() {
    if (credentials == null) {
      return new UpstreamProxy(host, port, null, null, except);
    }
    try {
      String pair = Files.readString(credentials).strip();
      int colon = pair.indexOf(':');
      if (colon > 0 && pair.chars().noneMatch(c -> c < ' ' || c == 0x7f)) {
        return new UpstreamProxy(
            host,
            port,
            pair.substring(0, colon),
            SecretValue.of(pair.substring(colon + 1)),
            except);
      }
    } catch (IOException e) {
      // Said below, without what is in it.
    }
    throw new InvalidSettingsException(
        List.of("valetkey." + CREDENTIALS + ": must hold user:password in one line"));
  }
}
