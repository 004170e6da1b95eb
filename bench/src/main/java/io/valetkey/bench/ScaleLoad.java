package io.valetkey.bench;

import io.valetkey.bench.PolicySeed.Kind;
import io.valetkey.bench.PolicySeed.Shape;
import io.valetkey.bench.Scene.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;

/**
 * What one request costs while there is much more of something than it needs: a gateway for each
 * number of rules, destinations, grants or revoked tokens, all of them running at once, and the
 * same request to each of them in turns. It asks for the same thing each time, so it shows what
 * grows with the policy, and not the cache misses of many callers: for those see {@link
 * PolicyBenchmark}.
 */
public final class ScaleLoad {

  private static final String PATH = "/v1/models";
  private static final String BODY = "{\"data\":[]}";
  private static final int WARM_UP = 2;

  private ScaleLoad() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "seconds", "rounds", "connections", "of", "counts");
    Peer.NGINX.require();
    Conditions.print();
    String of = options.text("of", "rules,destinations,grants,revocations");
    for (String kind : of.split(",", -1)) {
      run(options, Kind.valueOf(kind.toUpperCase(Locale.ROOT)));
    }
    Conditions.print();
  }

  private static void run(Options options, Kind kind) throws Exception {
    Path folder = RunFolder.make();
    var certificates = Certificates.create(folder);
    String credential = "sk-real-" + UUID.randomUUID();
    int upstreamPort = ServerProcess.freePort();
    var setting =
        new Scene.Setting(certificates, CallerLeg.PLAIN, false, false, upstreamPort, credential);
    List<Scene> scenes = new ArrayList<>();
    int rounds = options.number("rounds", 5);
    try (BenchPostgres postgres = BenchPostgres.start();
        AutoCloseable _ = () -> scenes.forEach(Scene::close);
        var _ = Nginx.upstream(folder, upstreamPort, certificates, credential, BODY);
        var loop = new ClosedLoop(options.number("connections", 32))) {
      List<Side> sides = new ArrayList<>();
      List<Integer> counts =
          Arrays.stream(options.text("counts", "1,100,10000,100000").split(",", -1))
              .map(Integer::valueOf)
              .toList();
      long millis = 1000L * options.number("seconds", 60);
      Duration round = Duration.ofMillis(millis / (rounds + WARM_UP) / counts.size());
      for (int count : counts) {
        Path part = Files.createDirectory(folder.resolve(String.valueOf(count)));
        Scene scene =
            Scene.start(
                part,
                postgres,
                setting,
                EnumSet.noneOf(Peer.class),
                Shape.of(kind, count),
                Map.of());
        scenes.add(scene);
        sides.add(
            side(
                scene,
                "%d %s".formatted(count, kind.name().toLowerCase(Locale.ROOT)),
                loop,
                round));
      }
      compare(sides, rounds);
    }
  }

  /** Of the gateway alone: the database serves all of them. */
  private static Side side(Scene scene, String name, ClosedLoop loop, Duration round)
      throws Exception {
    Proxy gateway = scene.proxies().getFirst();
    var get = Get.of(BODY, scene.tokens().token("subject-0"));
    return new Side(
        name,
        gateway.pids().subList(0, 1),
        () -> loop.run(gateway.port(), gateway.prefix() + PATH, get, round));
  }

  /** The ratios are how many times as much a request costs as with the least. */
  private static void compare(List<Side> sides, int rounds) throws Exception {
    for (int i = 0; i < WARM_UP; i++) {
      for (Side side : sides) {
        side.warmUp();
      }
    }
    for (int i = 0; i < rounds; i++) {
      for (Side side : sides) {
        side.round();
      }
    }
    Side.printAll(sides);
  }
}
