package io.valetkey.broker.gateway;

import java.util.Locale;
import java.util.Set;

/**
 * Rewrites references of an upstream to itself into references to us, in {@code Location}, {@code
 * Content-Location} and {@code Link} (RFC 8288), and in bodies where that is wanted: pagination and
 * redirects then meet the allowlist again. What points elsewhere passes unchanged.
 */
final class OwnAddress {

  private static final Set<String> HOLDING = Set.of("location", "content-location", "link");

  private final String ours;
  private final String host;
  private final int port;
  private final AddressRewriter body;

  /**
   * Makes the rewriter of one destination.
   *
   * @param ours the destination's address at the gateway, without a trailing slash
   * @param host the upstream's host
   * @param port the upstream's port
   */
  OwnAddress(String ours, String host, int port) {
    this.ours = ours;
    this.host = host.toLowerCase(Locale.ROOT);
    this.port = port;
    this.body = new AddressRewriter(host, port, ours);
  }

  /** Rewrites whole addresses of the upstream in one body. */
  AddressRewriter.Stream body() {
    return body.stream();
  }

  /** Rewrites the fields that hold addresses. */
  Fields rewrite(Fields fields) {
    if (!holdsAny(fields)) {
      return fields;
    }
    Fields rewritten = new Fields();
    for (Fields.Field field : fields.list()) {
      String value =
          switch (field.key()) {
            case "location", "content-location" -> reference(field.value());
            case "link" -> link(field.value());
            default -> field.value();
          };
      rewritten.add(field.name(), value);
    }
    return rewritten;
  }

  private static boolean holdsAny(Fields fields) {
    for (Fields.Field field : fields.list()) {
      if (HOLDING.contains(field.key())) {
        return true;
      }
    }
    return false;
  }

  private String link(String value) {
    StringBuilder out = new StringBuilder(value.length() + 32);
    int at = 0;
    while (true) {
      int open = value.indexOf('<', at);
      int close = open < 0 ? -1 : value.indexOf('>', open);
      if (close < 0) {
        return out.append(value, at, value.length()).toString();
      }
      out.append(value, at, open + 1).append(reference(value.substring(open + 1, close)));
      at = close;
    }
  }

  private String reference(String value) {
    if (value.startsWith("/") && !value.startsWith("//")) {
      return ours + value;
    }
    String lower = value.toLowerCase(Locale.ROOT);
    int authority = lower.startsWith("https://") ? 8 : lower.startsWith("//") ? 2 : -1;
    if (authority < 0) {
      return value;
    }
    int end = authority;
    while (end < value.length() && "/?#".indexOf(value.charAt(end)) < 0) {
      end++;
    }
    return isUpstream(lower.substring(authority, end)) ? ours + value.substring(end) : value;
  }

  private boolean isUpstream(String authority) {
    return authority.equals(host + ":" + port) || (port == 443 && authority.equals(host));
  }
}
