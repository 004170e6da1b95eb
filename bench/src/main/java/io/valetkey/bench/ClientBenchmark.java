package io.valetkey.bench;

import io.valetkey.client.AccessToken;
import io.valetkey.client.Destination;
import io.valetkey.client.testing.FakeValetkey;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** What an agent pays for a token that it already has; run with {@code -prof gc}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@SuppressWarnings("NullAway.Init") // JMH calls the set-up and sets the parameters
public class ClientBenchmark {

  private FakeValetkey fake;
  private Destination destination;

  /** Gets the first token over a real socket. */
  @Setup(Level.Trial)
  public void connect() {
    fake = FakeValetkey.builder().tokenLife(Duration.ofHours(1)).start();
    destination = fake.connect().destination("openai");
    var _ = destination.token();
  }

  /** Ends the fake. */
  @TearDown(Level.Trial)
  public void close() {
    fake.close();
  }

  /** The cached token. */
  @Benchmark
  public AccessToken token() {
    return destination.token();
  }
}
