package io.valetkey.bench;

import io.valetkey.bench.PolicySeed.Kind;
import io.valetkey.bench.PolicySeed.Shape;
import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.access.UseDecision;
import io.valetkey.broker.policy.RequestPath;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * The decision on one and the same request while there is much more of something than it needs: the
 * part of {@link ScaleLoad} that could grow with the policy, without the sockets.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@SuppressWarnings("NullAway.Init") // JMH calls the set-up and sets the parameters
public class ScaleBenchmark {

  private static final Use USE =
      new Use(
          new Holder(
              "agent-0", IdentityIssuer.NAME, "subject-0", "1.jti", 1, "dest-0", Set.of("use")),
          "dest-0",
          "POST",
          RequestPath.parse("/v1/chat/completions"));

  /** Of what there are many. */
  @Param({"RULES", "DESTINATIONS", "GRANTS", "REVOCATIONS"})
  public String kind;

  /** How many. */
  @Param({"1", "100", "10000", "100000"})
  public int count;

  private PolicyFixture fixture;

  /** Seeds and loads the policy. */
  @Setup(Level.Trial)
  public void load() throws Exception {
    fixture = new PolicyFixture(Shape.of(Kind.valueOf(kind), count));
  }

  /** Ends the database. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    fixture.close();
  }

  /** May this request be carried out? */
  @Benchmark
  public UseDecision use() {
    UseDecision decision = fixture.access().decideUse(USE);
    if (!(decision instanceof Decision.Granted)) {
      throw new IllegalStateException(decision.toString());
    }
    return decision;
  }
}
