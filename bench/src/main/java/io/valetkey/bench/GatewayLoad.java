package io.valetkey.bench;

import io.valetkey.bench.ClosedLoop.Result;
import io.valetkey.bench.Scene.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * The gateway against what stands in its place elsewhere: the same TLS upstream, the same answer,
 * the same injected header, keep-alive on both sides. The gateway verifies, decides, injects and
 * reads the answer; see {@link Peer} for what the others do.
 */
public final class GatewayLoad {

  private static final String PATH = "/v1/models";
  private static final int BODY_BYTES = 1024;

  private GatewayLoad() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options =
        new Options(
            args, "seconds", "rounds", "connections", "crypto", "peer", "caller", "upstream");
    Peer.NGINX.require();
    Conditions.print();
    Path folder = RunFolder.make();
    try (BenchPostgres postgres = BenchPostgres.start()) {
      run(options, folder, postgres);
    }
    Conditions.print();
  }

  static List<Side> run(Options options, Path folder, BenchPostgres postgres) throws Exception {
    String credential = "sk-real-" + UUID.randomUUID();
    String body = "{\"data\":\"" + "x".repeat(BODY_BYTES - 11) + "\"}";
    var leg = CallerLeg.of(options, CallerLeg.PLAIN);
    boolean http2Upstream = options.text("upstream", "http1").equals("http2");
    var certificates = Certificates.create(folder);
    int upstreamPort = ServerProcess.freePort();
    var setting =
        new Scene.Setting(certificates, leg, http2Upstream, false, upstreamPort, credential);
    var crypto = Map.of("valetkey.crypto.provider", options.text("crypto", "auto"));
    try (var upstream = Nginx.upstream(folder, upstreamPort, certificates, credential, body);
        var scene =
            Scene.start(
                folder,
                postgres,
                setting,
                Peer.of(options, Peer.NGINX),
                PolicySeed.Shape.of(100, 1),
                crypto);
        var loop = new ClosedLoop(options.number("connections", 32), leg, certificates)) {
      System.out.printf(
          "upstream: nginx %d with TLS 1.3, %d bytes; callers %s; upstream leg %s%n",
          upstream.pid(), BODY_BYTES, leg, http2Upstream ? "HTTP/2 (nginx: HTTP/1.1)" : "HTTP/1.1");
      var get = Get.of(body, scene.tokens().token("subject-0"));
      return compare(options, scene.proxies(), loop, get);
    }
  }

  private static List<Side> compare(Options options, List<Proxy> proxies, ClosedLoop loop, Get get)
      throws Exception {
    int rounds = options.number("rounds", 5);
    long millis = 1000L * options.number("seconds", 60);
    Duration round = Duration.ofMillis(millis / rounds / proxies.size());
    Duration warmUp = Duration.ofMillis(millis / 4 / proxies.size());
    List<Side> sides = new ArrayList<>();
    for (Proxy proxy : proxies) {
      Result warm = loop.run(proxy.port(), proxy.prefix() + PATH, get, warmUp);
      if (warm.operations() == 0 || warm.wrong() > 0) {
        throw new IllegalStateException(
            proxy.name() + ": " + warm.wrong() + " wrong answers while warming up");
      }
      sides.add(
          new Side(
              proxy.name(),
              proxy.pids(),
              () -> loop.run(proxy.port(), proxy.prefix() + PATH, get, round)));
    }
    for (int i = 0; i < rounds; i++) {
      for (Side side : sides) {
        side.round();
      }
    }
    Side.printAll(sides);
    return sides;
  }
}
