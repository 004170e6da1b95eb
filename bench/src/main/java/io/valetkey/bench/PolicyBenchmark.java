package io.valetkey.bench;

import io.valetkey.broker.access.Decision;
import io.valetkey.broker.access.Holder;
import io.valetkey.broker.access.TokenWish;
import io.valetkey.broker.access.Use;
import io.valetkey.broker.access.UseDecision;
import io.valetkey.broker.policy.RequestPath;
import java.util.Map;
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
 * One decision of the policy, for a different agent each time: what is measured includes the cache
 * misses that a large policy costs.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("NullAway.Init") // JMH calls the set-up and sets the parameters
public class PolicyBenchmark {

  private static final int ASKED = 1 << 16;
  private static final int STRIDE = 7919;

  /** How many grants the policy has. */
  @Param({"1000", "1000000"})
  public int grants;

  private PolicyFixture fixture;
  private final TokenWish[] wishes = new TokenWish[ASKED];
  private final Use[] uses = new Use[ASKED];
  private int next;

  /** Seeds and loads the policy. */
  @Setup(Level.Trial)
  public void load() throws Exception {
    fixture = new PolicyFixture(grants);
    for (int i = 0; i < ASKED; i++) {
      int n = (int) ((long) i * STRIDE % fixture.agents());
      String subject = "subject-" + n;
      String destination = "dest-" + i % PolicyFixture.DESTINATIONS;
      wishes[i] =
          new TokenWish(
              IdentityIssuer.NAME, subject, Map.of("sub", subject), destination, Set.of());
      uses[i] =
          new Use(
              new Holder(
                  "agent-" + n,
                  IdentityIssuer.NAME,
                  subject,
                  "1.jti-" + n,
                  1,
                  destination,
                  Set.of("use")),
              destination,
              "POST",
              RequestPath.parse("/v1/chat/completions"));
    }
  }

  /** Ends the database. */
  @TearDown(Level.Trial)
  public void close() throws Exception {
    fixture.close();
  }

  /** May this workload have a token? */
  @Benchmark
  public Decision issue() {
    return granted(fixture.access().decideToken(wishes[next++ & ASKED - 1]));
  }

  /** May this request be carried out? */
  @Benchmark
  public UseDecision use() {
    return granted(fixture.access().decideUse(uses[next++ & ASKED - 1]));
  }

  private static <D extends UseDecision> D granted(D decision) {
    if (!(decision instanceof Decision.Granted)) {
      throw new IllegalStateException(decision.toString());
    }
    return decision;
  }
}
