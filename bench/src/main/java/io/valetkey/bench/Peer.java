package io.valetkey.bench;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** What stands beside the gateway in front of the same upstream. */
enum Peer {
  /** Puts a fixed credential in, and checks nothing. */
  NGINX("nginx, no check", "apt-get install nginx-light"),
  /** Verifies the same token at each request, and puts a fixed credential in. */
  HAPROXY("HAProxy, jwt_verify", "apt-get install haproxy"),
  /** The same with Spring Cloud Gateway as a resource server. */
  SPRING("Spring Cloud Gateway", "");

  private final String label;
  private final String installation;

  Peer(String label, String installation) {
    this.label = label;
    this.installation = installation;
  }

  /** Whether it looks at tokens at all. */
  boolean verifies() {
    return this != NGINX;
  }

  String label() {
    return label;
  }

  boolean isThere() {
    return installation.isEmpty() || Programs.find(name().toLowerCase(Locale.ROOT)).isPresent();
  }

  /** Those that the option {@code peer} names; ends the process if one of them is not there. */
  static Set<Peer> of(Options options, Peer... otherwise) {
    String names =
        options.text(
            "peer", Arrays.stream(otherwise).map(Peer::name).collect(Collectors.joining(",")));
    Set<Peer> wanted = EnumSet.noneOf(Peer.class);
    for (String name : names.split(",", -1)) {
      if (!name.equals("none")) {
        wanted.add(valueOf(name.toUpperCase(Locale.ROOT)));
      }
    }
    wanted.forEach(Peer::require);
    return wanted;
  }

  /** The upstream of most measurements is an nginx, too. */
  void require() {
    if (!isThere()) {
      System.err.printf(
          "SKIPPED: there is no %s on PATH. Debian: %s%n",
          name().toLowerCase(Locale.ROOT), installation);
      System.exit(3);
    }
  }
}
