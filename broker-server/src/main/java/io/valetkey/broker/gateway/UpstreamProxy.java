package io.valetkey.broker.gateway;

import io.valetkey.broker.secret.SecretValue;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The proxy through which a network lets connections out. It is asked for a tunnel (RFC 9110
 * section 9.3.6) by the destination's name; TLS is with the destination, so the proxy sees neither
 * requests nor credentials of destinations.
 */
public final class UpstreamProxy {

  private final String host;
  private final int port;
  private final @Nullable String user;
  private final @Nullable SecretValue password;
  private final List<String> except;

  /**
   * Describes a proxy.
   *
   * @param user what it knows us by; null if it asks nobody
   * @param except names that are reached straight, with all below them; in lower case
   * @throws IllegalArgumentException if there is a user without a password or the other way round
   */
  public UpstreamProxy(
      String host,
      int port,
      @Nullable String user,
      @Nullable SecretValue password,
      List<String> except) {
    if ((user == null) != (password == null)) {
      throw new IllegalArgumentException("a user and a password belong together");
    }
    this.host = host;
    this.port = port;
    this.user = user;
    this.password = password;
    this.except = List.copyOf(except);
  }

  String host() {
    return host;
  }

  int port() {
    return port;
  }

  @Nullable String user() {
    return user;
  }

  @Nullable SecretValue password() {
    return password;
  }

  /** Whether a destination of this host is reached through it. */
  boolean covers(String destination) {
    String name = destination.toLowerCase(Locale.ROOT);
    return except.stream().noneMatch(own -> name.equals(own) || name.endsWith("." + own));
  }
}
