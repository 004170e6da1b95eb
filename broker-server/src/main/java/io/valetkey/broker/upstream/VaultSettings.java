package io.valetkey.broker.upstream;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where Vault is and how it is spoken to.
 *
 * @param uri scheme, host and port; {@code https}, or {@code http} for a loopback address only
 * @param login how we prove who we are
 * @param namespace the namespace of Vault Enterprise or OpenBao; none if absent
 * @param caCertificate PEM file of the only authorities that are trusted; the JVM's if absent
 * @param timeout how long one call may take, waiting for its turn included; at most 30 seconds
 * @param maxConcurrentCalls how many calls may be under way at once, 1 to 256
 */
public record VaultSettings(
    URI uri,
    VaultLogin login,
    @Nullable String namespace,
    @Nullable Path caCertificate,
    Duration timeout,
    int maxConcurrentCalls) {

  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");

  /** Checks the address and the ranges; whether files exist shows when they are read. */
  public VaultSettings {
    String host = uri.getHost();
    if (host == null || uri.getRawQuery() != null || uri.getRawUserInfo() != null) {
      throw new IllegalArgumentException("the Vault address is not an absolute URI of a server");
    }
    String path = uri.getRawPath();
    if (path != null && !path.isEmpty() && !path.equals("/")) {
      throw new IllegalArgumentException("the Vault address must not have a path");
    }
    boolean secure = "https".equals(uri.getScheme());
    if (!secure && !("http".equals(uri.getScheme()) && LOOPBACK.contains(host))) {
      throw new IllegalArgumentException("the Vault address must be https unless it is loopback");
    }
    if (login instanceof VaultLogin.Certificate && !secure) {
      throw new IllegalArgumentException("a certificate login needs a Vault address with https");
    }
    if (namespace != null) {
      VaultPath.requirePath("the Vault namespace", namespace);
    }
    if (timeout.toMillis() < 1 || timeout.compareTo(Duration.ofSeconds(30)) > 0) {
      throw new IllegalArgumentException("the Vault timeout must be 1 ms to 30 s");
    }
    if (maxConcurrentCalls < 1 || maxConcurrentCalls > 256) {
      throw new IllegalArgumentException("the number of concurrent Vault calls must be 1 to 256");
    }
  }

  /** Without namespace or own authority; 3 s, 16 calls. */
  public static VaultSettings of(URI uri, VaultLogin login) {
    return new VaultSettings(uri, login, null, null, Duration.ofSeconds(3), 16);
  }
}
