package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** What the stop resource says about streams, over HTTP and two gateways. Invariants: P2, S7. */
class StopProgressTest {

  @TempDir private Path folder;
  private StopStage stage;
  private RunningBroker first;
  private RunningBroker second;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    first = RunningBroker.start(stage.settings());
    second = first.replica(stage.replicaOf(first));
    stage.writePolicy(first, "bad", "good");
  }

  @AfterEach
  void stop() {
    second.close();
    first.close();
    stage.close();
  }

  private List<OpenStream> open(String agent, int atFirst, int atSecond) throws Exception {
    String token = stage.token(first, agent);
    List<OpenStream> streams = new ArrayList<>();
    await().until(() -> StopStage.use(second.gatewayUrl(), token) == 200);
    for (int i = 0; i < atFirst; i++) {
      streams.add(OpenStream.open(first.gatewayUrl(), token));
    }
    for (int i = 0; i < atSecond; i++) {
      streams.add(OpenStream.open(second.gatewayUrl(), token));
    }
    return streams;
  }

  private static long cut(JsonNode stop) {
    return stop.at("/streams/cut").asLong(-1);
  }

  @Test
  void progress_countsWhatEachGatewayCut_andARestartChangesNothing() throws Exception {
    List<OpenStream> bad = open("bad", 3, 2);
    List<OpenStream> good = open("good", 1, 1);

    JsonNode stop =
        StopStage.awaitAcknowledged(first, StopStage.order(first, "{\"agent\":\"bad\"}"));

    assertThat(stop.at("/gateways/total").asInt()).isEqualTo(2);
    assertThat(cut(stop)).isEqualTo(5);
    for (OpenStream stream : bad) {
      assertThat(stream.awaitEnd(5)).isTrue();
    }
    assertThat(good).noneMatch(OpenStream::hasEnded);
    second.close();
    second = first.replica(stage.replicaOf(first));
    assertThat(cut(StopStage.progress(first, stop))).isEqualTo(5);
    assertThat(cut(StopStage.progress(second, stop))).isEqualTo(5);
    // The stream at the gateway that was closed has ended with it, and no stop has ended it.
    JsonNode all =
        StopStage.awaitAcknowledged(first, StopStage.order(first, "{\"everything\":true}"));
    assertThat(cut(all)).isEqualTo(1);
    assertThat(cut(StopStage.progress(first, stop))).isEqualTo(5);
  }

  @Test
  void overlappingStops_countEachExchangeOnce() throws Exception {
    open("bad", 4, 3);

    JsonNode one = StopStage.order(first, "{\"agent\":\"bad\"}");
    JsonNode two = StopStage.order(second, "{\"destination\":\"openai\"}");
    JsonNode three = StopStage.order(first, "{\"agent\":\"bad\"}");

    long sum = 0;
    for (JsonNode stop : List.of(one, two, three)) {
      sum += cut(StopStage.awaitAcknowledged(first, stop));
    }
    assertThat(sum).isEqualTo(7);
  }

  @Test
  void gatewayThatWasShutDown_isNotWaitedFor() throws Exception {
    List<OpenStream> streams = open("bad", 1, 1);
    second.close();
    assertThat(streams.getLast().awaitEnd(5)).isTrue();

    JsonNode stop = StopStage.order(first, "{\"agent\":\"bad\"}");

    long ordered = System.nanoTime();
    JsonNode acknowledged = StopStage.awaitAcknowledged(first, stop);
    assertThat(Duration.ofNanos(System.nanoTime() - ordered))
        .as("a gateway that had died would be waited for for S and a margin, 12 s")
        .isLessThan(Duration.ofSeconds(6));
    assertThat(acknowledged.at("/gateways/total").asInt()).isEqualTo(1);
    assertThat(cut(acknowledged)).isEqualTo(1);
  }
}
