package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import com.sun.net.httpserver.HttpServer;
import io.valetkey.bench.ClosedLoop.Exchange;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Token issue: the broker, both ways, against a Spring Authorization Server, in interleaved rounds
 * on the same PostgreSQL with commits flushed to disk. Stops by itself; {@code --seconds} is the
 * time of all rounds together, after a warm-up of a quarter of it.
 */
public final class TokenIssueLoad {

  private static final String RESOURCE_PATH = "/d/dest-0";

  private TokenIssueLoad() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options =
        new Options(
            args, "seconds", "rounds", "connections", "subjects", "identity-tokens", "crypto");
    if (!Servers.brokerIsBuilt()) {
      throw new IllegalStateException("build broker-server first: mvn package");
    }
    Conditions.print();
    Path folder = RunFolder.make();
    try (BenchPostgres postgres = BenchPostgres.start()) {
      run(options, folder, postgres);
    }
  }

  private static void run(Options options, Path folder, BenchPostgres postgres) throws Exception {
    int subjects = options.number("subjects", 1000);
    var issuer = new IdentityIssuer(JWSAlgorithm.ES256);
    String ours = postgres.createMigrated("broker");
    new PolicySeed(postgres, ours).write(issuer, subjects, 1, "https://upstream.test");
    String peers = postgres.create("peer");
    int port = ServerProcess.freePort();
    int gatewayPort = ServerProcess.freePort();
    int peerPort = ServerProcess.freePort();
    var settings = Map.of("valetkey.crypto.provider", options.text("crypto", "auto"));
    HttpServer keys = serveKeys(issuer);
    String jwksUrl = "http://127.0.0.1:" + keys.getAddress().getPort() + "/";
    try (var broker = Servers.broker(folder, postgres, ours, port, gatewayPort, settings);
        var peer = Servers.peer(folder, postgres, peers, peerPort, subjects, jwksUrl)) {
      int distinct = options.number("identity-tokens", subjects);
      String audience = "http://127.0.0.1:" + port;
      String peerAudience = "http://127.0.0.1:" + peerPort;
      String resource = "http://127.0.0.1:" + gatewayPort + RESOURCE_PATH;
      List<String> identities =
          numbers(distinct, n -> issuer.token("subject-" + n % subjects, audience));
      List<String> assertions =
          numbers(distinct, n -> issuer.clientAssertion("subject-" + n % subjects, peerAudience));
      System.out.printf(
          "%d subjects, %d identity tokens in a ring, ES256, crypto of the broker: %s%n",
          subjects, distinct, options.text("crypto", "auto"));
      compare(
          options,
          postgres,
          List.of(
              new Target(
                  "broker W1 (assertion)",
                  broker.pid(),
                  port,
                  TokenRequests.clientCredentials(identities, subjects, resource)),
              new Target(
                  "broker W2 (exchange)",
                  broker.pid(),
                  port,
                  TokenRequests.exchange(identities, resource)),
              new Target(
                  "Spring AS + JDBC",
                  peer.pid(),
                  peerPort,
                  TokenRequests.clientCredentials(assertions, subjects, null))));
    } finally {
      keys.stop(0);
    }
  }

  private record Target(String name, long pid, int port, TokenRequests requests) {}

  private static void compare(Options options, BenchPostgres postgres, List<Target> targets)
      throws Exception {
    int rounds = options.number("rounds", 5);
    double seconds = options.number("seconds", 60);
    Duration round = Duration.ofMillis((long) (1000 * seconds / rounds / targets.size()));
    try (var loop = new ClosedLoop(options.number("connections", 32))) {
      Duration warmUp = Duration.ofMillis((long) (1000 * seconds / 4 / targets.size()));
      for (Target target : targets) {
        requireRight(target, loop.run(target.port(), "/oauth2/token", target.requests(), warmUp));
      }
      List<Side> sides =
          targets.stream()
              .map(t ->
                  new Side(
                      t.name(),
                      List.of(t.pid(), postgres.pid()),
                      () -> loop.run(t.port(), "/oauth2/token", (Exchange) t.requests(), round)))
              .toList();
      long brokerBefore = postgres.commits("broker");
      long peerBefore = postgres.commits("peer");
      for (int i = 0; i < rounds; i++) {
        for (Side side : sides) {
          side.round();
        }
      }
      Thread.sleep(1500); // the statistics of commits come late
      sides.forEach(Side::print);
      Side peer = sides.getLast();
      long ours = sides.get(0).operations() + sides.get(1).operations();
      System.out.printf(
          "commits per token: broker %.3f, peer %.3f%n",
          (double) (postgres.commits("broker") - brokerBefore) / ours,
          (double) (postgres.commits("peer") - peerBefore) / peer.operations());
      sides.get(0).printRatio(peer);
      sides.get(1).printRatio(peer);
      Conditions.print();
    }
  }

  private static void requireRight(Target target, ClosedLoop.Result warmUp) {
    if (warmUp.operations() == 0 || warmUp.wrong() > 0) {
      throw new IllegalStateException(
          target.name() + " answers wrongly: " + target.requests().firstWrong());
    }
  }

  private static List<String> numbers(int count, java.util.function.IntFunction<String> token) {
    return IntStream.range(0, count).parallel().mapToObj(token).toList();
  }

  /** The peer reads the keys of its clients from an address. */
  private static HttpServer serveKeys(IdentityIssuer issuer) throws IOException {
    byte[] keys = issuer.publicKeys().toString().getBytes(StandardCharsets.UTF_8);
    var server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1000);
    server.createContext(
        "/",
        exchange -> {
          exchange.getResponseHeaders().set("Content-Type", "application/json");
          exchange.sendResponseHeaders(200, keys.length);
          exchange.getResponseBody().write(keys);
          exchange.close();
        });
    server.start();
    return server;
  }
}
