package io.valetkey.bench;

import io.valetkey.bench.ClosedLoop.Result;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.HdrHistogram.Histogram;

/** One of those that are compared, with what its rounds gave. */
final class Side {

  private final String name;
  private final List<Long> pids;
  private final Callable<Result> load;
  private final List<Round> rounds = new ArrayList<>();

  /**
   * One round.
   *
   * @param server seconds of processor time of the server
   * @param database the same of everything that serves it, such as PostgreSQL
   */
  record Round(Result result, double server, double database) {

    double perCpuSecond() {
      return result.operations() / (server + database);
    }
  }

  /**
   * Names a side.
   *
   * @param pids the server first, then what serves it; descendants are included
   * @param load sends for one round
   */
  Side(String name, List<Long> pids, Callable<Result> load) {
    this.name = name;
    this.pids = pids;
    this.load = load;
  }

  /** A round that does not count. */
  void warmUp() throws Exception {
    requireRight(load.call());
  }

  void round() throws Exception {
    CpuTime server = CpuTime.of(pids.subList(0, 1));
    CpuTime others = others();
    Result result = load.call();
    double serverSeconds = CpuTime.of(pids.subList(0, 1)).secondsSince(server);
    double otherSeconds = others().secondsSince(others);
    rounds.add(new Round(result, serverSeconds, otherSeconds));
    requireRight(result);
  }

  private void requireRight(Result result) {
    if (result.operations() == 0 || result.wrong() > 0) {
      throw new IllegalStateException(
          "%s: %d answers were right, %d wrong"
              .formatted(name, result.operations(), result.wrong()));
    }
  }

  private CpuTime others() {
    return CpuTime.of(pids.subList(1, pids.size()));
  }

  /** Prints each side, and the ratio of the first to each of the others. */
  static void printAll(List<Side> sides) {
    sides.forEach(Side::print);
    sides.stream().skip(1).forEach(other -> sides.getFirst().printRatio(other));
  }

  /** Prints a line for each round and one for all. */
  void print() {
    for (Round round : rounds) {
      Result result = round.result();
      System.out.printf(
          Locale.ROOT,
          "%-22s %8d ops %7.0f/s  server %5.2f s  database %5.2f s  %7.0f ops/CPU-s%n",
          name,
          result.operations(),
          result.operations() / result.seconds(),
          round.server(),
          round.database(),
          round.perCpuSecond());
    }
    Histogram latency = latency();
    System.out.printf(
        Locale.ROOT,
        "%-22s median %.0f ops/CPU-s, %.1f µs of server and %.1f µs of database each%s%n",
        name,
        median(rounds.stream().map(Round::perCpuSecond).toList()),
        1e6 * sum(Round::server) / operations(),
        1e6 * sum(Round::database) / operations(),
        latency.getTotalCount() == 0
            ? ""
            : "; latency at saturation p50 %.2f ms p99 %.2f ms"
                .formatted(
                    latency.getValueAtPercentile(50) / 1000.0,
                    latency.getValueAtPercentile(99) / 1000.0));
  }

  /** Prints how many times as much this side does per CPU second as the other, round by round. */
  void printRatio(Side other) {
    List<Double> ratios = new ArrayList<>();
    for (int i = 0; i < rounds.size(); i++) {
      ratios.add(rounds.get(i).perCpuSecond() / other.rounds.get(i).perCpuSecond());
    }
    System.out.printf(
        Locale.ROOT,
        "%s / %s, operations per server-CPU-second: median %.2f (min %.2f, max %.2f, %d rounds)%n",
        name,
        other.name,
        median(ratios),
        ratios.stream().min(Comparator.naturalOrder()).orElseThrow(),
        ratios.stream().max(Comparator.naturalOrder()).orElseThrow(),
        ratios.size());
  }

  long operations() {
    return rounds.stream().mapToLong(round -> round.result().operations()).sum();
  }

  private double sum(java.util.function.ToDoubleFunction<Round> part) {
    return rounds.stream().mapToDouble(part).sum();
  }

  private Histogram latency() {
    Histogram all = rounds.getFirst().result().latency().copy();
    rounds.stream().skip(1).forEach(round -> all.add(round.result().latency()));
    return all;
  }

  private static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int half = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(half)
        : (sorted.get(half - 1) + sorted.get(half)) / 2;
  }
}
