package io.valetkey.bench;

import io.valetkey.bench.ClosedLoop.Result;
import io.valetkey.bench.Scene.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.HdrHistogram.Histogram;

/**
 * Small server-sent events through the gateway and its peers, as fast as back-pressure lets the
 * upstream write them, many streams at once. The gateway looks for the credential in all of them.
 */
public final class EventLoad {

  private EventLoad() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "seconds", "rounds", "streams", "peer", "caller");
    Conditions.print();
    Path folder = RunFolder.make();
    var certificates = Certificates.create(folder);
    var leg = CallerLeg.of(options, CallerLeg.PLAIN);
    int streams = options.number("streams", 64);
    try (BenchPostgres postgres = BenchPostgres.start();
        var upstream =
            new StreamUpstream(
                certificates.certificate(), certificates.key(), Duration.ofSeconds(10));
        var scene =
            Scene.start(
                folder,
                postgres,
                new Scene.Setting(
                    certificates, leg, false, true, upstream.port(), "sk-" + UUID.randomUUID()),
                Peer.of(options, Peer.NGINX),
                PolicySeed.Shape.of(1, 1),
                Map.of())) {
      System.out.printf("%d streams, callers %s%n", streams, leg);
      String token = scene.tokens().token("subject-0");
      int rounds = options.number("rounds", 5);
      long millis = 1000L * options.number("seconds", 60);
      Duration round = Duration.ofMillis(millis / rounds / scene.proxies().size());
      List<Side> sides = new ArrayList<>();
      for (Proxy proxy : scene.proxies()) {
        measure(proxy, leg, certificates, token, streams, round);
        sides.add(
            new Side(
                proxy.name(),
                proxy.pids(),
                () -> measure(proxy, leg, certificates, token, streams, round)));
      }
      for (int i = 0; i < rounds; i++) {
        for (Side side : sides) {
          side.round();
        }
      }
      Side.printAll(sides);
    }
    Conditions.print();
  }

  /** Operations are events; the opening of the streams is part of the time. */
  static Result measure(
      Proxy proxy,
      CallerLeg leg,
      Certificates certificates,
      String token,
      int streams,
      Duration time)
      throws InterruptedException {
    long begun = System.nanoTime();
    try (var open = new EventStreams(streams, leg, certificates)) {
      for (int i = 0; i < streams; i++) {
        open.open(proxy, StreamUpstream.FLOOD, token);
      }
      open.await(streams);
      Thread.sleep(time);
      double seconds = (System.nanoTime() - begun) / 1e9;
      return new Result(open.events(), open.broken(), seconds, new Histogram(1, 2, 1));
    }
  }
}
