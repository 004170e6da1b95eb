package io.valetkey.broker;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.URI;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.postgresql.Driver;
import org.postgresql.PGProperty;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.env.Environment;

/**
 * Where no destination may ever lead, whatever the policy and {@code private-origins} say: our own
 * listeners, Vault and the database. An agent that could reach them through us would speak to them
 * from an address that they trust.
 */
final class OwnAddresses {

  private static final Logger log = LoggerFactory.getLogger(OwnAddresses.class);

  private static final List<String> PORTS =
      List.of(
          "server.port",
          "valetkey.mtls.port",
          "valetkey.gateway.port",
          "valetkey.gateway.forward.port",
          "management.server.port");

  private OwnAddresses() {}

  /** The addresses as they resolve at start. */
  static Set<InetSocketAddress> of(Environment environment) {
    Set<InetSocketAddress> forbidden = new HashSet<>();
    for (String name : PORTS) {
      int port = environment.getProperty(name, Integer.class, 0);
      if (port > 0) {
        local().forEach(address -> forbidden.add(new InetSocketAddress(address, port)));
      }
    }
    vault(environment.getProperty("valetkey.vault.uri"), forbidden);
    database(environment.getProperty("spring.datasource.url"), forbidden);
    return forbidden;
  }

  private static List<InetAddress> local() {
    List<InetAddress> addresses = new ArrayList<>();
    try {
      NetworkInterface.networkInterfaces()
          .forEach(card -> card.inetAddresses().forEach(addresses::add));
    } catch (SocketException e) {
      throw new IllegalStateException("our own addresses cannot be told", e);
    }
    return addresses;
  }

  private static void vault(@Nullable String uri, Set<InetSocketAddress> forbidden) {
    if (uri != null) {
      URI vault = URI.create(uri);
      int standard = "http".equals(vault.getScheme()) ? 80 : 443;
      add(vault.getHost(), vault.getPort() < 0 ? standard : vault.getPort(), forbidden);
    }
  }

  private static void database(@Nullable String url, Set<InetSocketAddress> forbidden) {
    Properties parsed = url == null ? null : Driver.parseURL(url, null);
    if (parsed == null) {
      return;
    }
    String[] hosts = String.valueOf(PGProperty.PG_HOST.getOrDefault(parsed)).split(",", -1);
    String[] ports = String.valueOf(PGProperty.PG_PORT.getOrDefault(parsed)).split(",", -1);
    for (int i = 0; i < hosts.length; i++) {
      add(hosts[i], Integer.parseInt(ports[Math.min(i, ports.length - 1)]), forbidden);
    }
  }

  private static void add(@Nullable String host, int port, Set<InetSocketAddress> forbidden) {
    if (host == null) {
      return;
    }
    try {
      for (InetAddress address : InetAddress.getAllByName(host)) {
        forbidden.add(new InetSocketAddress(address, port));
      }
    } catch (UnknownHostException e) {
      log.warn("{} does not resolve now, so destinations are not checked against it", host);
    }
  }
}
