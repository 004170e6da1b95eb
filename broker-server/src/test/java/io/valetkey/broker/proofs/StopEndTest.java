package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** How stops end, over HTTP: by themselves, by the database's clock, or lifted. Invariant: S3. */
class StopEndTest {

  @TempDir private Path folder;
  private StopStage stage;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
  }

  @AfterEach
  void stop() {
    stage.close();
  }

  private String token(RunningBroker broker, Clock clock) throws Exception {
    Instant now = clock.instant();
    String identity =
        stage.issuer.token(
            "bot",
            broker.url(),
            claims ->
                claims.issueTime(Date.from(now)).expirationTime(Date.from(now.plusSeconds(600))));
    Tokens.Answer answer = Tokens.ask(broker.url(), Tokens.exchange(identity));
    return answer.hasToken() ? answer.token() : "";
  }

  private static HttpResponse<String> order(RunningBroker broker, Instant end) throws Exception {
    return StopStage.adminAnswer(
        broker,
        "POST",
        "/stops",
        "{\"target\":{\"agent\":\"bot\"},\"reason\":\"a test\",\"expiresAt\":\"%s\"}"
            .formatted(end));
  }

  private static JsonNode json(HttpResponse<String> answer) {
    return JsonMapper.shared().readTree(answer.body());
  }

  @ParameterizedTest
  @ValueSource(strings = {"PT0S", "PT1H", "PT-1H"})
  void stopWithAnEnd_endsByTheDatabasesClock_andOldTokensStayDead(String offset) throws Exception {
    Clock clock = Clock.offset(Clock.systemUTC(), Duration.parse(offset));
    try (RunningBroker broker = RunningBroker.start(stage.settings(), clock)) {
      stage.writePolicy(broker, "bot");
      String old = token(broker, clock);
      assertThat(StopStage.use(broker.gatewayUrl(), old)).isEqualTo(200);

      assertThat(order(broker, Instant.now().minusSeconds(1)).statusCode()).isEqualTo(400);
      Instant end = Instant.now().plusSeconds(3);
      HttpResponse<String> ordered = order(broker, end);
      assertThat(ordered.statusCode()).as(ordered.body()).isEqualTo(201);
      JsonNode stop = StopStage.awaitAcknowledged(broker, json(ordered));
      assertThat(stop.get("state").asString()).isEqualTo("active");
      assertThat(StopStage.use(broker.gatewayUrl(), old)).isEqualTo(401);
      assertThat(token(broker, clock)).isEmpty();

      await()
          .atMost(Duration.ofSeconds(8))
          .until(() -> StopStage.progress(broker, stop).get("state").asString().equals("expired"));
      assertThat(Instant.now()).isBetween(end, end.plusSeconds(3));
      JsonNode over = StopStage.progress(broker, stop);
      assertThat(over.get("endedBy").asString()).isEqualTo("expiry");
      await().until(() -> !token(broker, clock).isEmpty());
      assertThat(StopStage.use(broker.gatewayUrl(), token(broker, clock))).isEqualTo(200);
      assertThat(StopStage.use(broker.gatewayUrl(), old)).isEqualTo(401);
      // It has ended, so there is nothing to lift.
      assertThat(lift(broker, stop, "{\"reason\":\"late\"}").statusCode()).isEqualTo(409);
    }
  }

  private static HttpResponse<String> lift(RunningBroker broker, JsonNode stop, String body)
      throws Exception {
    return StopStage.adminAnswer(broker, "DELETE", "/stops/" + stop.get("id").asString(), body);
  }

  @Test
  void lifting_needsAReason_andLeavesOldTokensDead() throws Exception {
    try (RunningBroker broker = RunningBroker.start(stage.settings())) {
      stage.writePolicy(broker, "bot");
      String old = stage.token(broker, "bot");
      JsonNode stop =
          StopStage.awaitAcknowledged(broker, StopStage.order(broker, "{\"agent\":\"bot\"}"));

      for (String none : new String[] {"{}", "{\"reason\":\"\"}", "{\"reason\":\" \"}", ""}) {
        assertThat(lift(broker, stop, none).statusCode()).as(none).isEqualTo(400);
      }
      assertThat(StopStage.progress(broker, stop).get("state").asString()).isEqualTo("active");
      assertThat(lift(broker, stop, "{\"reason\":\"a false alarm\"}").statusCode()).isEqualTo(204);

      JsonNode lifted = StopStage.progress(broker, stop);
      assertThat(lifted.get("state").asString()).isEqualTo("lifted");
      assertThat(lifted.get("endReason").asString()).isEqualTo("a false alarm");
      assertThat(lifted.get("endedBy").asString()).isNotEmpty();
      await().until(() -> StopStage.use(broker.gatewayUrl(), stage.token(broker, "bot")) == 200);
      assertThat(StopStage.use(broker.gatewayUrl(), old)).isEqualTo(401);
    }
  }
}
