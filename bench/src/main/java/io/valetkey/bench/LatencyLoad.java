package io.valetkey.bench;

import io.valetkey.bench.OpenLoop.Connecting;
import io.valetkey.bench.Scene.Proxy;
import io.valetkey.realparts.TestAuthority;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import javax.net.SocketFactory;
import org.HdrHistogram.Histogram;

/**
 * How much latency the gateway adds at a fixed rate: straight to the upstream, and through the
 * gateway and its peers, in interleaved rounds with the same TLS. Open loop, timed from the moment
 * at which a request was to be sent.
 */
public final class LatencyLoad {

  private static final String PATH = "/v1/models";
  private static final int BODY_BYTES = 1024;

  private LatencyLoad() {}

  /**
   * One way to the upstream, with all that was measured on it.
   *
   * @param latency in microseconds
   */
  private record Track(String name, Connecting connecting, PlainGet get, Histogram latency) {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "seconds", "rounds", "rate", "connections", "peer", "caller");
    Peer.NGINX.require();
    var leg = CallerLeg.of(options, CallerLeg.TLS);
    if (leg == CallerLeg.HTTP2) {
      throw new IllegalArgumentException("latency is measured over HTTP/1.1: --caller=plain|tls");
    }
    Conditions.print();
    Path folder = RunFolder.make();
    String credential = "sk-" + UUID.randomUUID();
    String body = "{\"data\":\"" + "x".repeat(BODY_BYTES - 11) + "\"}";
    var certificates = Certificates.create(folder);
    int upstreamPort = ServerProcess.freePort();
    try (BenchPostgres postgres = BenchPostgres.start();
        var _ = Nginx.upstream(folder, upstreamPort, certificates, credential, body);
        var scene =
            Scene.start(
                folder,
                postgres,
                new Scene.Setting(certificates, leg, false, false, upstreamPort, credential),
                Peer.of(options, Peer.NGINX),
                PolicySeed.Shape.of(1, 1),
                Map.of())) {
      List<Track> tracks = new ArrayList<>();
      tracks.add(
          new Track(
              "straight",
              connecting(certificates, CallerLeg.TLS, upstreamPort),
              new PlainGet(PATH, "Bearer " + credential, body),
              new Histogram(3)));
      String token = scene.tokens().token("subject-0");
      for (Proxy proxy : scene.proxies()) {
        tracks.add(
            new Track(
                proxy.name(),
                connecting(certificates, leg, proxy.port()),
                new PlainGet(proxy.prefix() + PATH, "Bearer " + token, body),
                new Histogram(3)));
      }
      measure(options, tracks);
    }
    Conditions.print();
  }

  private static void measure(Options options, List<Track> tracks) throws Exception {
    int rate = options.number("rate", 3000);
    int rounds = options.number("rounds", 5);
    var loop = new OpenLoop(rate, options.number("connections", 16));
    long millis = 1000L * options.number("seconds", 60);
    Duration round = Duration.ofMillis(millis / rounds / tracks.size());
    for (Track track : tracks) {
      var _ = loop.run(track.connecting(), track.get(), Duration.ofMillis(millis / 4));
    }
    for (int i = 0; i < rounds; i++) {
      for (Track track : tracks) {
        track.latency().add(loop.run(track.connecting(), track.get(), round));
      }
    }
    System.out.printf("%d requests a second on each way, open loop%n", rate);
    Histogram straight = tracks.getFirst().latency();
    tracks.forEach(track -> print(track.name(), track.latency(), straight));
  }

  private static void print(String name, Histogram latency, Histogram straight) {
    System.out.printf(Locale.ROOT, "%-22s %8d requests", name, latency.getTotalCount());
    for (double percentile : new double[] {50, 99, 99.9}) {
      long at = latency.getValueAtPercentile(percentile);
      System.out.printf(
          Locale.ROOT,
          "   p%s %.3f ms (%+.3f)",
          percentile == 99.9 ? "99.9" : String.valueOf((int) percentile),
          at / 1000.0,
          (at - straight.getValueAtPercentile(percentile)) / 1000.0);
    }
    System.out.println();
  }

  static Connecting connecting(Certificates certificates, CallerLeg leg, int port) {
    SocketFactory sockets =
        leg.isEncrypted()
            ? TestAuthority.trusting(certificates.authority()).getSocketFactory()
            : SocketFactory.getDefault();
    return () -> {
      Socket socket = sockets.createSocket(InetAddress.getLoopbackAddress(), port);
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(60_000);
      return socket;
    };
  }
}
