package io.valetkey.broker.gateway;

import java.net.URI;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Destinations as hosts of their own, {@code {destination}.{suffix}}, for programs whose base URL
 * can have no path. Scheme and port are those of the gateway's public address.
 */
public final class DestinationHosts {

  private final String suffix;
  private final String scheme;
  private final String port;
  private final String standardPort;

  /**
   * Makes the names.
   *
   * @param suffix a domain name in lower case, without dots at either end
   * @param publicUrl the gateway's public address
   */
  public DestinationHosts(String suffix, String publicUrl) {
    URI gateway = URI.create(publicUrl);
    this.suffix = "." + suffix;
    this.scheme = gateway.getScheme() + "://";
    this.standardPort = gateway.getScheme().equals("https") ? ":443" : ":80";
    String written = gateway.getPort() < 0 ? "" : ":" + gateway.getPort();
    this.port = written.equals(standardPort) ? "" : written;
  }

  /** Where a destination is, without a trailing slash. */
  String url(String destination) {
    return scheme + destination + suffix + port;
  }

  /**
   * Whether one of these values of {@code Host} is below the suffix, well formed or not: then the
   * request is one for a host or none at all.
   */
  boolean areBelow(List<String> hosts) {
    for (String host : hosts) {
      int end = nameLength(host);
      while (end > 0 && host.charAt(end - 1) == '.') {
        end--;
      }
      if (host.regionMatches(true, end - suffix.length(), suffix, 0, suffix.length())) {
        return true;
      }
    }
    return false;
  }

  /** The destination that a {@code Host} names, or null if it names none in the one right form. */
  @Nullable String destination(String host) {
    int end = nameLength(host);
    int label = end - suffix.length();
    String given = host.substring(end);
    boolean fits = given.equals(port) || (port.isEmpty() && given.equals(standardPort));
    if (!fits || label <= 0 || !host.regionMatches(true, label, suffix, 0, suffix.length())) {
      return null;
    }
    String name = host.substring(0, label).toLowerCase(Locale.ROOT);
    return Guard.isName(name) ? name : null;
  }

  private static int nameLength(String host) {
    int colon = host.indexOf(':');
    return colon < 0 ? host.length() : colon;
  }
}
