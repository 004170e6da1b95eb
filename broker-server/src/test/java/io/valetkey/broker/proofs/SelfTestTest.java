package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * The test of a brokered destination, asked for at a process that issues and run by one that is a
 * gateway. Invariants: P6, P8.
 */
class SelfTestTest {

  @TempDir private Path folder;
  private StopStage stage;
  private RunningBroker issuer;
  private RunningBroker gateway;

  @BeforeEach
  void start() throws Exception {
    stage = new StopStage(folder);
    issuer = RunningBroker.start(stage.settings("valetkey.roles", "issuer"));
    gateway = issuer.replica(stage.replicaOf(issuer, "valetkey.roles", "gateway"));
    stage.writePolicy(issuer, "good");
  }

  @AfterEach
  void stop() {
    gateway.close();
    issuer.close();
    stage.close();
  }

  private JsonNode test(String destination, String body) throws Exception {
    return StopStage.admin(issuer, "POST", "/destinations/" + destination + "/test", body);
  }

  private static Map<String, String> results(JsonNode answer) {
    Map<String, String> results = new TreeMap<>();
    answer
        .get("steps")
        .forEach(step -> results.put(step.get("step").asString(), step.get("result").asString()));
    return results;
  }

  @Test
  void test_goesTheWholeWay_andSaysNothingOfTheCredential() throws Exception {
    JsonNode answer = test("openai", "{\"path\":\"/ok\"}");

    assertThat(answer.get("outcome").asString()).as("%s", answer).isEqualTo("passed");
    assertThat(results(answer))
        .containsEntry("address", "passed")
        .containsEntry("credential", "passed")
        .containsEntry("connection", "passed")
        .containsEntry("request", "passed");
    assertThat(answer.toString()).doesNotContain(StopStage.KEY).contains("answered 200");
    assertThat(results(test("openai", null))).containsEntry("request", "skipped");
    assertThat(test("openai", "{\"path\":\"/nowhere\"}").toString()).contains("answered 404");
    assertThat(test("openai", "{\"path\":\"/a/../b\"}").get("outcome").asString())
        .isEqualTo("failed");
    assertThat(
            StopStage.adminAnswer(
                    issuer,
                    "POST",
                    "/destinations/openai/test",
                    "{\"path\":\"/ok\",\"method\":\"DELETE\"}")
                .statusCode())
        .isEqualTo(400);
  }

  @Test
  void test_namesTheStepThatFails_andAStopForbidsIt() throws Exception {
    String origin = "https://localhost:%d";
    String spec =
        "{\"kind\":\"http\",\"origin\":\""
            + origin
            + "\",\"credential\":{\"source\":\"file\",\"name\":\"%s\"}}";
    new Policies(issuer)
        .destination("no-key", spec.formatted(stage.upstreamPort(), "absent"))
        .destination("no-port", spec.formatted(1, "openai"))
        .destination(
            "other-name",
            spec.replace("localhost", "127.0.0.1").formatted(stage.upstreamPort(), "openai"))
        .destination(
            "metadata",
            "{\"kind\":\"http\",\"origin\":\"https://169.254.169.254\",\"credential\":{\"source\":\"file\",\"name\":\"openai\"}}")
        .await(issuer);

    assertThat(results(test("no-key", null))).containsEntry("credential", "failed");
    assertThat(results(test("no-port", null))).containsEntry("connection", "failed");
    assertThat(results(test("other-name", "{\"path\":\"/ok\"}")))
        .containsEntry("connection", "failed")
        .doesNotContainKey("request");
    StopStage.awaitAcknowledged(issuer, StopStage.order(issuer, "{\"destination\":\"openai\"}"));
    assertThat(results(test("openai", "{\"path\":\"/ok\"}")))
        .containsExactly(Map.entry("stop", "failed"));
    StopStage.awaitAcknowledged(issuer, StopStage.order(issuer, "{\"everything\":true}"));
    assertThat(results(test("no-port", null))).containsExactly(Map.entry("stop", "failed"));
    gateway.close();
    assertThat(results(test("no-port", null))).containsExactly(Map.entry("gateway", "failed"));
  }
}
