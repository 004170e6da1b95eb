package io.valetkey.client;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The checked address of the broker or the gateway. Tokens travel to it, so plain http is for
 * loopback addresses only, judged by how they are written and never by what a name resolves to.
 */
final class ServiceUrl {
  private static final String OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  private static final Pattern LOOPBACK_V4 = Pattern.compile("127(?:\\." + OCTET + "){3}");

  private ServiceUrl() {}

  /** The address without a final slash, or null after adding to {@code problems}. */
  static @Nullable URI check(String what, String text, List<String> problems) {
    URI url;
    try {
      url = new URI(text.strip());
    } catch (URISyntaxException e) {
      problems.add(what + " is not a URL: " + e.getReason());
      return null;
    }
    String fault = fault(url);
    if (fault != null) {
      problems.add(what + " " + fault);
      return null;
    }
    String plain = url.toString();
    return URI.create(plain.endsWith("/") ? plain.substring(0, plain.length() - 1) : plain);
  }

  private static @Nullable String fault(URI url) {
    String scheme = url.getScheme() == null ? "" : url.getScheme().toLowerCase(Locale.ROOT);
    if (!scheme.equals("https") && !scheme.equals("http")) {
      return "must begin with https://";
    }
    if (url.getHost() == null) {
      return "names no host";
    }
    if (url.getRawUserInfo() != null || url.getRawQuery() != null || url.getRawFragment() != null) {
      return "must not have a user, a query or a fragment";
    }
    if (!CanonicalPath.is(url.getRawPath()) && !url.getRawPath().equals("/")) {
      return "has a path that is not in canonical form";
    }
    if (scheme.equals("http") && !isLoopback(url.getHost())) {
      return "is plain http to "
          + url.getHost()
          + ": tokens would cross the network unencrypted; use https (http is for"
          + " 127.0.0.0/8, [::1] and localhost)";
    }
    return null;
  }

  static boolean isLoopback(String host) {
    return host.equalsIgnoreCase("localhost")
        || host.equals("[::1]")
        || LOOPBACK_V4.matcher(host).matches();
  }
}
