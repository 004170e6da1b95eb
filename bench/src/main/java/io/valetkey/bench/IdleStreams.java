package io.valetkey.bench;

import io.valetkey.bench.Scene.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;

/**
 * What open event streams cost in memory while next to nothing happens on them: one event each ten
 * seconds, because a gateway ends what is silent for half a minute.
 */
public final class IdleStreams {

  private static final Duration RATE = Duration.ofSeconds(10);
  private static final int AGENTS = 100;
  private static final int WARM = 200;
  private static final int FILES_BESIDE = 1000;
  private static final double MIB = 1048576;

  private IdleStreams() {}

  /** See {@code bench/run-load}. */
  public static void main(String[] args) throws Exception {
    var options = new Options(args, "streams", "peer", "caller");
    int streams = options.number("streams", 10_000);
    requireFiles(streams);
    Conditions.print();
    // Room for them; small at first, so that what is resident is what was needed.
    String jvm = System.getProperty("bench.broker.jvm", "");
    System.setProperty("bench.broker.jvm", "-Xms128m -Xmx2g " + jvm);
    Path folder = RunFolder.make();
    var certificates = Certificates.create(folder);
    var leg = CallerLeg.of(options, CallerLeg.PLAIN);
    try (BenchPostgres postgres = BenchPostgres.start();
        var upstream = new StreamUpstream(certificates.certificate(), certificates.key(), RATE);
        var scene =
            Scene.start(
                folder,
                postgres,
                new Scene.Setting(
                    certificates, leg, false, true, upstream.port(), "sk-" + UUID.randomUUID()),
                Peer.of(options, Peer.NGINX),
                PolicySeed.Shape.of(AGENTS, 1),
                Map.of())) {
      List<String> tokens = new ArrayList<>();
      for (int i = 0; i < AGENTS; i++) {
        tokens.add(scene.tokens().token("subject-" + i));
      }
      for (Proxy proxy : scene.proxies()) {
        print(proxy, streams, measure(proxy, leg, certificates, tokens, streams));
      }
    }
    Conditions.print();
  }

  /** How much more it holds with the streams than with none, after some were open before. */
  static Memory measure(
      Proxy proxy, CallerLeg leg, Certificates certificates, List<String> tokens, int streams)
      throws Exception {
    boolean isJvm = isJvm(proxy.pids().getFirst());
    try (var warm = new EventStreams(WARM, leg, certificates)) {
      open(warm, proxy, tokens, WARM);
    }
    Thread.sleep(1000);
    Memory before = Memory.of(proxy.pids().getFirst(), isJvm);
    try (var open = new EventStreams(streams, leg, certificates)) {
      open(open, proxy, tokens, streams);
      Memory held = Memory.of(proxy.pids().getFirst(), isJvm).minus(before);
      if (open.broken() > 0) {
        throw new IllegalStateException(proxy.name() + ": " + open.broken() + " streams broke");
      }
      return held;
    }
  }

  private static void open(EventStreams into, Proxy proxy, List<String> tokens, int count)
      throws InterruptedException {
    for (int i = 0; i < count; i++) {
      into.open(proxy, StreamUpstream.PACED, tokens.get(i % tokens.size()));
    }
    into.await(count);
  }

  private static boolean isJvm(long pid) {
    return ProcessHandle.of(pid)
        .flatMap(process -> process.info().command())
        .filter(command -> command.endsWith("/java"))
        .isPresent();
  }

  private static void print(Proxy proxy, int streams, Memory held) {
    System.out.printf(
        Locale.ROOT,
        "%-22s %d idle streams: resident +%.1f MiB (%.1f KiB each), heap after collection"
            + " +%.1f MiB (%.1f KiB each)%n",
        proxy.name(),
        streams,
        held.resident() / MIB,
        held.resident() / 1024.0 / streams,
        held.heap() / MIB,
        held.heap() / 1024.0 / streams);
  }

  /** Each stream is two connections of a proxy, and two of ours: its caller and its upstream. */
  private static void requireFiles(int streams) throws Exception {
    long needed = 2L * streams + FILES_BESIDE;
    long allowed = Memory.openFiles();
    if (allowed < needed) {
      System.err.printf(
          "SKIPPED: %d streams need %d open files in each process (two connections a stream), and"
              + " the limit here is %d. Raise it (ulimit -n %d), or ask for fewer:"
              + " --streams=%d%n",
          streams, needed, allowed, needed, (allowed - FILES_BESIDE) / 2);
      System.exit(3);
    }
  }
}
