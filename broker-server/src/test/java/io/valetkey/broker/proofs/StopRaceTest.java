package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * Each agent asks two replicas for tokens, as fast as it can, while one of them is told to stop it.
 * No token that it ever got is worth anything once the stop says that it is acknowledged. A
 * thousand agents; {@code -Dstop.race.pairs=10000} for more. Invariants: P1, P2, S1.
 */
class StopRaceTest {

  private static final int PAIRS = Integer.getInteger("stop.race.pairs", 1000);
  private static final int AT_ONCE = 6;

  @TempDir private Path folder;
  private final AtomicInteger raced = new AtomicInteger();
  private final AtomicInteger tokens = new AtomicInteger();
  private final AtomicInteger usable = new AtomicInteger();
  private final AtomicLong slowestNanos = new AtomicLong();

  @Test
  void issuingRacesStopping_onTwoReplicas_neverLeavesAUsableToken() throws Exception {
    try (var stage = new StopStage(folder);
        RunningBroker first = RunningBroker.start(stage.settings());
        RunningBroker second = first.replica(stage.replicaOf(first))) {
      stage.writePolicy(first, "control");
      writeRacers(first, second);
      long begun = System.nanoTime();
      try (ExecutorService pairs = Executors.newFixedThreadPool(AT_ONCE)) {
        List<Future<?>> all = new ArrayList<>();
        for (int i = 0; i < PAIRS; i++) {
          int pair = i;
          all.add(
              pairs.submit(() -> {
                race(stage, first, second, pair);
                return null;
              }));
        }
        for (Future<?> pair : all) {
          pair.get();
        }
      }
      System.out.printf(
          "%d pairs in %d s: %d agents got a token before their stop, %d tokens in all; usable after"
              + " acknowledged: %d; slowest acknowledgement %d ms%n",
          PAIRS,
          (System.nanoTime() - begun) / 1_000_000_000,
          raced.get(),
          tokens.get(),
          usable.get(),
          slowestNanos.get() / 1_000_000);
      assertThat(usable).hasValue(0);
      // Both outcomes occurred often, so it was a race.
      assertThat(raced.get()).isBetween(PAIRS / 20, PAIRS - 1);
      // Who was not stopped is served as ever; a token of before would have ended by itself.
      String control = stage.token(first, "control");
      assertThat(StopStage.use(first.gatewayUrl(), control)).isEqualTo(200);
      assertThat(StopStage.use(second.gatewayUrl(), control)).isEqualTo(200);
    }
  }

  private void race(StopStage stage, RunningBroker first, RunningBroker second, int pair)
      throws Exception {
    String agent = "racer-" + pair;
    String identity = stage.issuer.token(agent, first.url());
    Queue<String> got = new ConcurrentLinkedQueue<>();
    Thread one = Thread.ofVirtual().start(() -> askUntilRefused(first, identity, got));
    Thread two = Thread.ofVirtual().start(() -> askUntilRefused(second, identity, got));
    Thread.sleep(Duration.ofNanos(ThreadLocalRandom.current().nextLong(12_000_000)));
    RunningBroker at = pair % 2 == 0 ? first : second;
    JsonNode stop = StopStage.order(at, "{\"agent\":\"" + agent + "\"}");
    long ordered = System.nanoTime();
    while (!stop.get("acknowledged").asBoolean()) {
      Thread.sleep(5);
      stop = StopStage.progress(at, stop);
    }
    long took = System.nanoTime() - ordered;
    slowestNanos.accumulateAndGet(took, Math::max);
    one.join();
    two.join();
    raced.addAndGet(got.isEmpty() ? 0 : 1);
    for (String token : got) {
      tokens.incrementAndGet();
      for (RunningBroker gateway : List.of(first, second)) {
        if (StopStage.use(gateway.gatewayUrl(), token) != 401) {
          usable.incrementAndGet();
        }
      }
    }
  }

  private static void askUntilRefused(RunningBroker broker, String identity, Queue<String> got) {
    try {
      Tokens.Answer answer = Tokens.ask(broker.url(), Tokens.exchange(identity));
      while (answer.hasToken()) {
        got.add(answer.token());
        Thread.sleep(3);
        answer = Tokens.ask(broker.url(), Tokens.exchange(identity));
      }
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static void writeRacers(RunningBroker first, RunningBroker second) throws Exception {
    String range = " FROM generate_series(0, " + (PAIRS - 1) + ") AS i";
    try (var database = first.database();
        var statement = database.createStatement()) {
      statement.execute(
          "INSERT INTO agent (name, spec, version) SELECT 'racer-' || i, jsonb_build_object("
              + "'identities', jsonb_build_array(jsonb_build_object('issuer', 'ci', 'subject',"
              + " 'racer-' || i))), 1"
              + range);
      statement.execute(
          "INSERT INTO agent_grant (name, agent, destination, spec, version) SELECT 'racer-' || i ||"
              + " '-openai', 'racer-' || i, 'openai', jsonb_build_object('agent', 'racer-' || i,"
              + " 'destination', 'openai', 'scopes', jsonb_build_array('all')), 1"
              + range);
      statement.execute(
          "INSERT INTO change_log (id, kind, name) SELECT nextval('change_log_id'), 'agent',"
              + " 'racer-' || i"
              + range);
      statement.execute(
          "INSERT INTO change_log (id, kind, name) SELECT nextval('change_log_id'), 'grant',"
              + " 'racer-' || i || '-openai'"
              + range);
      statement.execute("NOTIFY valetkey_change");
    }
    Policies policies = new Policies(first);
    policies.await(first);
    policies.await(second);
  }
}
