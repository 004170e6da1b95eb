package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Liveness depends on nothing outside the process; readiness follows the database within a bound
 * and comes back by itself; Vault takes no replica out. Invariants: T3, T4.
 */
class ProbesTest {

  private static final Duration STALENESS = Duration.ofSeconds(2);

  /** S, one hanging read of the feed's connection, and as much again for a busy machine. */
  private static final Duration BOUND = STALENESS.plusSeconds(8);

  private static String probe(RunningBroker broker, String group) throws Exception {
    long begun = System.nanoTime();
    String answer = Tokens.raw(URI.create(broker.managementUrl() + "/actuator/health/" + group));
    assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(Duration.ofSeconds(1));
    return answer;
  }

  private static void within(Duration bound, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + bound.toNanos();
    while (!condition.call()) {
      assertThat(System.nanoTime()).as("within " + bound).isLessThan(end);
      Thread.sleep(50);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"issuer,gateway", "gateway"})
  void probes_whileVaultAndDatabaseAreAway(String roles) throws Exception {
    try (OwnPostgres postgres = new OwnPostgres()) {
      Map<String, String> settings = new HashMap<>(postgres.settings());
      settings.put("valetkey.roles", roles);
      settings.put("valetkey.stop.staleness", STALENESS.toSeconds() + "s");
      settings.put("valetkey.vault.uri", "http://127.0.0.1:" + RunningBroker.freePort());
      settings.put("valetkey.vault.token", "a-token-of-a-vault-that-is-away");
      try (RunningBroker broker = RunningBroker.onDatabase("postgres", settings)) {
        if (roles.contains("issuer")) {
          Tokens.writeOneAgent(broker, new TestIssuer("ci"));
        }
        // Vault is away all the time.
        for (String group : List.of("liveness", "readiness", "startup")) {
          assertThat(probe(broker, group)).as(group).isEqualTo("{\"status\":\"UP\"}");
        }
        postgres.freeze();
        within(BOUND, () -> probe(broker, "readiness").contains("OUT_OF_SERVICE"));
        assertThat(probe(broker, "liveness")).isEqualTo("{\"status\":\"UP\"}");
        assertThat(probe(broker, "startup")).isEqualTo("{\"status\":\"UP\"}");
        postgres.thaw();
        within(BOUND, () -> probe(broker, "readiness").contains("UP"));
        postgres.crash();
        within(BOUND, () -> probe(broker, "readiness").contains("OUT_OF_SERVICE"));
        assertThat(probe(broker, "liveness")).isEqualTo("{\"status\":\"UP\"}");
        postgres.restart();
        within(BOUND, () -> probe(broker, "readiness").contains("UP"));
      }
    }
  }
}
