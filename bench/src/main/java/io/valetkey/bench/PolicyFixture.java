package io.valetkey.bench;

import com.nimbusds.jose.JWSAlgorithm;
import io.valetkey.broker.access.Access;
import io.valetkey.broker.access.RateLimits;
import io.valetkey.broker.feed.Connections;
import io.valetkey.broker.limit.GrantBudgets;
import io.valetkey.broker.limit.GrantRates;
import io.valetkey.broker.policy.PolicyView;
import io.valetkey.broker.stop.StopRestore;
import io.valetkey.broker.stop.StopStore;
import io.valetkey.broker.stop.StopView;
import java.sql.Connection;
import java.time.Clock;
import java.time.Duration;

/** The real decision over a policy of a chosen size, read from a real database. */
final class PolicyFixture implements AutoCloseable {

  /** How many destinations each agent has a grant on. */
  static final int DESTINATIONS = 5;

  private static final Duration LONG = Duration.ofDays(1);
  private static final int NO_LIMIT = 2_000_000_000;

  private final BenchPostgres postgres;
  private final int agents;
  private final PolicyView policy = new PolicyView(LONG);
  private final Access access;
  private final double loadSeconds;

  /** A policy of so many grants of a fifth as many agents. */
  PolicyFixture(int grants) throws Exception {
    this(PolicySeed.Shape.of(grants / DESTINATIONS, DESTINATIONS));
  }

  /** Writes the policy and reads it as the server does when it starts. */
  PolicyFixture(PolicySeed.Shape shape) throws Exception {
    this.postgres = BenchPostgres.start();
    this.agents = shape.agents();
    String database = postgres.createMigrated("policy");
    var seed = new PolicySeed(postgres, database);
    seed.write(
        new IdentityIssuer(JWSAlgorithm.ES256),
        shape,
        new PolicySeed.Upstream("https://upstream.test", false));
    Connections connections = () -> postgres.connect(database);
    var stops =
        new StopView(
            new StopStore(connections), new StopRestore(connections, Clock.systemUTC()), LONG);
    try (Connection connection = postgres.connect(database)) {
      stops.catchUp(connection);
      long begun = System.nanoTime();
      policy.catchUp(connection);
      this.loadSeconds = (System.nanoTime() - begun) / 1e9;
    }
    this.access =
        new Access(
            policy,
            stops,
            new RateLimits(NO_LIMIT, System::nanoTime),
            new GrantRates(System::nanoTime),
            new GrantBudgets(System::nanoTime),
            Clock.systemUTC());
  }

  Access access() {
    return access;
  }

  PolicyView policy() {
    return policy;
  }

  int agents() {
    return agents;
  }

  /** How long the server's own reading of the policy took. */
  double loadSeconds() {
    return loadSeconds;
  }

  @Override
  public void close() throws Exception {
    postgres.close();
  }
}
