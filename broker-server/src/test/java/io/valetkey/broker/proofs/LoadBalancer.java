package io.valetkey.broker.proofs;

import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A real HAProxy in front of the API and the gateway, which asks each replica's management port
 * five times a second and sends no request twice unless its connection could not be made.
 */
final class LoadBalancer implements AutoCloseable {

  private static final String CONFIGURATION =
      """
      defaults
        mode http
        timeout connect 2s
        timeout client 60s
        timeout server 60s
        timeout check 5s
        retries 3
        option redispatch 1
        option httpchk GET /actuator/health/readiness
        http-check expect status 200
        default-server check inter 200ms fall 2 rise 2
      listen api
        bind 127.0.0.1:%d
        %s
      listen gateway
        bind 127.0.0.1:%d
        %s
      """;

  private final int api = RunningBroker.freePort();
  private final int gateway = RunningBroker.freePort();
  private Process process;

  /** One replica behind it. */
  record Server(String name, int port, int management) {

    String line() {
      return "server %s 127.0.0.1:%d port %d".formatted(name, port, management);
    }
  }

  static boolean isInstalled() {
    return List.of("/usr/sbin/haproxy", "/usr/bin/haproxy").stream()
        .anyMatch(program -> Files.isExecutable(Path.of(program)));
  }

  void start(Path folder, List<Server> issuers, List<Server> gateways) throws IOException {
    Path file = folder.resolve("haproxy.cfg");
    Files.writeString(file, CONFIGURATION.formatted(api, lines(issuers), gateway, lines(gateways)));
    process =
        new ProcessBuilder("haproxy", "-db", "-f", file.toString())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("haproxy.log").toFile())
            .start();
  }

  private static String lines(List<Server> servers) {
    return String.join("\n  ", servers.stream().map(Server::line).toList());
  }

  String apiUrl() {
    return "http://127.0.0.1:" + api;
  }

  String gatewayUrl() {
    return "http://127.0.0.1:" + gateway;
  }

  @Override
  public void close() {
    if (process != null) {
      process.destroy();
    }
  }
}
