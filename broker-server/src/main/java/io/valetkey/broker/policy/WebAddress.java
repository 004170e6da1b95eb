package io.valetkey.broker.policy;

import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What may be written where an address is expected. Only what is written is judged: what a name
 * resolves to is checked again whenever a connection is made.
 */
final class WebAddress {

  private static final Pattern LABEL = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  private static final Pattern IPV4 =
      Pattern.compile("((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)(\\.(?!$)|$)){4}");
  private static final Pattern NUMBER = Pattern.compile("[0-9]+|0x[0-9a-f]*");
  private static final Pattern LEASE_PATH =
      Pattern.compile("(/([A-Za-z0-9_-][A-Za-z0-9._-]{0,127})?)?");
  private static final Set<String> METADATA_NAMES =
      Set.of("metadata", "metadata.google.internal", "instance-data");

  private WebAddress() {}

  /**
   * Checks the origin of a destination: {@code https://host} or {@code https://host:port}.
   *
   * @param allowed which addresses destinations may have
   * @return what is wrong, null if nothing
   */
  static @Nullable String originError(String origin, Predicate<InetAddress> allowed) {
    URI uri = parse(origin);
    if (uri == null || !"https".equals(uri.getScheme())) {
      return "must be an https origin such as https://api.example.com";
    }
    if (!origin.equals("https://" + uri.getRawAuthority()) || uri.getRawUserInfo() != null) {
      return "must be scheme, host and port only, without a final slash";
    }
    return authorityError(uri, allowed);
  }

  /**
   * Checks what a leased credential is for: scheme, host, a port if need be, and at most one path
   * segment, the name of a database or a virtual host.
   *
   * @param schemes the schemes that fit
   * @param allowed which addresses such a place may have
   * @return what is wrong, null if nothing
   */
  static @Nullable String leaseOriginError(
      String origin, Set<String> schemes, Predicate<InetAddress> allowed) {
    URI uri = parse(origin);
    if (uri == null || !schemes.contains(uri.getScheme())) {
      return "must begin with " + String.join(":// or ", new TreeSet<>(schemes)) + "://";
    }
    if (uri.getRawUserInfo() != null || uri.getRawQuery() != null || uri.getRawFragment() != null) {
      return "must have no user information, no query and no fragment";
    }
    if (!LEASE_PATH.matcher(uri.getRawPath()).matches()) {
      return "must have at most one path segment, of letters, digits and . _ -";
    }
    return authorityError(uri, allowed);
  }

  /**
   * Checks a URL that the server itself calls or compares: https, or http on a loopback address.
   *
   * @param allowed which addresses such a place may have
   * @return what is wrong, null if nothing
   */
  static @Nullable String urlError(String url, Predicate<InetAddress> allowed) {
    URI uri = parse(url);
    if (uri == null || uri.getHost() == null || url.length() > 2048) {
      return "must be an https URL";
    }
    if (uri.getRawUserInfo() != null || uri.getRawFragment() != null) {
      return "must have no user information and no fragment";
    }
    String error = authorityError(uri, allowed);
    if (error != null) {
      return error;
    }
    InetAddress address = literal(uri.getHost());
    boolean loopback =
        address == null ? isLoopbackName(uri.getHost()) : address.isLoopbackAddress();
    if (!"https".equals(uri.getScheme()) && !("http".equals(uri.getScheme()) && loopback)) {
      return "must be an https URL; http is allowed for loopback addresses only";
    }
    return null;
  }

  /** Whether the host of an accepted origin is an address and no name. */
  static boolean isAddress(String origin) {
    return literal(URI.create(origin).getHost()) != null;
  }

  private static @Nullable URI parse(String text) {
    try {
      URI uri = new URI(text);
      boolean ascii = text.chars().allMatch(c -> c > ' ' && c < 0x7f);
      return ascii && uri.getRawAuthority() != null ? uri : null;
    } catch (URISyntaxException e) {
      return null;
    }
  }

  /** Checks host and port, and that no address is named that is not allowed. */
  private static @Nullable String authorityError(URI uri, Predicate<InetAddress> allowed) {
    String host = uri.getHost();
    if (host == null || !host.equals(host.toLowerCase(Locale.ROOT))) {
      return "must have a host name in lower case; international names in their xn-- form";
    }
    boolean emptyPort = uri.getRawAuthority().endsWith(":");
    if (emptyPort || uri.getPort() == 0 || uri.getPort() > 65535) {
      return "must have a port from 1 to 65535, or none";
    }
    InetAddress address = literal(host);
    if (address == null && !isHostName(host)) {
      return "must have a host name, or an IP address in its usual form";
    }
    InetAddress named = isLoopbackName(host) ? InetAddress.getLoopbackAddress() : address;
    if (METADATA_NAMES.contains(host) || (named != null && !allowed.test(named))) {
      return "is an address that is not allowed here: private, loopback, link-local or metadata";
    }
    return null;
  }

  private static boolean isHostName(String host) {
    String[] labels = host.split("\\.", -1);
    for (String label : labels) {
      if (!LABEL.matcher(label).matches()) {
        return false;
      }
    }
    // A last label that is a number makes resolvers read the whole as an IPv4 address: 127.1,
    // 0x7f.1.
    return host.length() <= 253 && !NUMBER.matcher(labels[labels.length - 1]).matches();
  }

  private static @Nullable InetAddress literal(String host) {
    String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    boolean address = host.startsWith("[") ? !bare.contains("%") : IPV4.matcher(host).matches();
    try {
      return address ? InetAddress.ofLiteral(bare) : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private static boolean isLoopbackName(String host) {
    return host.equals("localhost") || host.endsWith(".localhost");
  }
}
