package io.valetkey.broker.proofs;

import static io.valetkey.broker.proofs.ApprovalStage.actions;
import static io.valetkey.broker.proofs.ApprovalStage.approve;
import static io.valetkey.broker.proofs.ApprovalStage.decide;
import static io.valetkey.broker.proofs.ApprovalStage.error;
import static io.valetkey.broker.proofs.ApprovalStage.id;
import static io.valetkey.broker.proofs.ApprovalStage.pending;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Requests that somebody has to approve, through a real gateway. Invariants: H1 to H7. */
class ApprovalTest {

  private static final String BODY = "{\"amount\":100,\"to\":\"alice\"}";

  @TempDir private Path folder;
  private ApprovalStage stage;
  private RunningBroker broker;
  private String token;

  @BeforeEach
  void start() throws Exception {
    stage = new ApprovalStage(folder);
    broker = stage.start();
    stage.needApproval(broker, "{}");
    token = stage.stage.token(broker, "bot");
  }

  @AfterEach
  void stop() {
    broker.close();
    stage.close();
  }

  @Test
  void request_isHeldBackUntilSomebodyApprovesIt_andPassesOnce() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY, "Idempotency-Key", "one");
    HttpResponse<String> refused = stage.send(request);
    assertThat(refused.statusCode()).isEqualTo(403);
    assertThat(error(refused)).isEqualTo("approval_required");
    JsonNode problem = JsonMapper.shared().readTree(refused.body());
    String url = problem.get("approval_url").asString();
    assertThat(refused.headers().firstValue("location")).contains(url);
    assertThat(refused.headers().firstValue("retry-after")).isPresent();
    assertThat(stage.reached).isEmpty();

    HttpResponse<String> polled = stage.poll(url, token);
    assertThat(polled.statusCode()).isEqualTo(200);
    assertThat(polled.body()).contains("\"approval_state\":\"pending\"");

    JsonNode waiting = pending(broker);
    assertThat(waiting.get("id").asString()).isEqualTo(id(problem));
    JsonNode shown = StopStage.admin(broker, "GET", "/approvals/" + id(problem), null);
    assertThat(shown.get("agent").asString()).isEqualTo("bot");
    assertThat(shown.get("method").asString()).isEqualTo("POST");
    assertThat(shown.get("url").asString()).endsWith("/pay");
    assertThat(shown.get("body").asString()).isEqualTo(BODY);
    assertThat(shown.get("headers").toString()).contains("idempotency-key", "one");
    assertThat(shown.toString()).doesNotContain(token, StopStage.KEY);
    // Asking again is the same question.
    assertThat(id(stage.ask(request))).isEqualTo(id(problem));

    approve(broker, id(problem));
    assertThat(stage.poll(url, token).body()).contains("\"approval_state\":\"approved\"");
    HttpResponse<String> sent = stage.send(request);
    assertThat(sent.statusCode()).isEqualTo(200);
    assertThat(sent.body()).isEqualTo("paid");
    assertThat(stage.reached).containsExactly("POST /pay " + BODY);

    assertThat(stage.poll(url, token).body()).contains("\"approval_state\":\"used\"");
    assertThat(id(stage.ask(request))).isNotEqualTo(id(problem));
    assertThat(stage.reached).hasSize(1);
    assertThat(actions(broker))
        .containsEntry("approval.request granted", 2)
        .containsEntry("approval.approve granted", 1)
        .containsEntry("approval.use granted", 1)
        .containsEntry("gateway.request refused approval_required", 3)
        .containsEntry("gateway.request granted", 1);
    assertThat(
            StopStage.admin(broker, "GET", "/approvals/" + id(problem), null)
                .get("body")
                .asString())
        .as("what was shown is gone")
        .isEmpty();
  }

  @Test
  void denied_isRefusedAndNotAskedAgain() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY);
    String id = id(stage.ask(request));
    String hash = pending(broker).get("requestHash").asString();
    assertThat(decide(broker, id, "deny", hash).statusCode()).isEqualTo(200);
    HttpResponse<String> again = stage.send(request);
    assertThat(error(again)).isEqualTo("approval_denied");
    assertThat(again.body()).contains(id);
    assertThat(decide(broker, id, "approve", hash).statusCode()).isEqualTo(409);
    assertThat(stage.reached).isEmpty();
  }

  @Test
  void anotherRequest_needsAnotherApproval() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY, "X-Account", "1");
    String id = id(stage.ask(request));
    approve(broker, id);
    List<HttpRequest> others =
        List.of(
            stage.pay(broker, token, BODY.replace("100", "101"), "X-Account", "1"),
            stage.pay(broker, token, BODY, "X-Account", "2"),
            stage.pay(broker, token, BODY),
            stage.pay(broker, token, BODY, "X-Account", "1", "X-Account", "2"),
            stage.request(broker, token, "/pay").header("X-Account", "1").GET().build(),
            stage
                .request(broker, token, "/pay?to=bob")
                .headers("X-Account", "1", "Content-Type", "application/json")
                .POST(BodyPublishers.ofString(BODY))
                .build(),
            stage
                .request(broker, token, "/pay/more")
                .headers("X-Account", "1", "Content-Type", "application/json")
                .POST(BodyPublishers.ofString(BODY))
                .build());
    for (HttpRequest other : others) {
      assertThat(id(stage.ask(other))).isNotEqualTo(id);
    }
    assertThat(stage.reached).isEmpty();
    // What says nothing about the request may differ.
    assertThat(
            stage
                .send(stage.pay(broker, token, BODY, "X-Account", "1", "User-Agent", "other"))
                .statusCode())
        .isEqualTo(200);
  }

  @Test
  void decision_namesWhatWasShown() throws Exception {
    String id = id(stage.ask(stage.pay(broker, token, BODY)));
    assertThat(decide(broker, id, "approve", "0".repeat(64)).statusCode()).isEqualTo(409);
    assertThat(decide(broker, id, "approve", "").statusCode()).isEqualTo(400);
    assertThat(pending(broker).get("id").asString()).isEqualTo(id);
  }

  @Test
  void otherAgent_neitherSeesNorUsesIt() throws Exception {
    JsonNode asked = stage.ask(stage.pay(broker, token, BODY));
    approve(broker, id(asked));
    String others = stage.stage.token(broker, "other");
    assertThat(stage.poll(asked.get("approval_url").asString(), others).statusCode())
        .isEqualTo(404);
    assertThat(stage.poll(asked.get("approval_url").asString(), "nonsense").statusCode())
        .isEqualTo(401);
    assertThat(id(stage.ask(stage.pay(broker, others, BODY)))).isNotEqualTo(id(asked));
    assertThat(stage.reached).isEmpty();
  }

  @Test
  void stop_endsWhatWaitsAndWhatWasApproved_alsoOnceItIsLifted() throws Exception {
    HttpRequest first = stage.pay(broker, token, BODY);
    String approved = id(stage.ask(first));
    approve(broker, approved);
    String waiting = id(stage.ask(stage.pay(broker, token, "other")));
    String hash =
        StopStage.admin(broker, "GET", "/approvals/" + waiting, null).get("requestHash").asString();
    JsonNode stop = StopStage.order(broker, "{\"agent\":\"bot\"}");
    StopStage.awaitAcknowledged(broker, stop);
    assertThat(stage.send(first).statusCode()).isEqualTo(401);
    assertThat(decide(broker, waiting, "approve", hash).statusCode()).isEqualTo(409);
    HttpResponse<String> lifted =
        StopStage.adminAnswer(
            broker, "DELETE", "/stops/" + stop.get("id").asString(), "{\"reason\":\"over\"}");
    assertThat(lifted.statusCode()).isEqualTo(204);
    String[] fresh = new String[1];
    await()
        .until(() -> {
          fresh[0] = stage.stage.token(broker, "bot");
          return StopStage.use(broker.gatewayUrl(), fresh[0]) == 403;
        });
    assertThat(id(stage.ask(stage.pay(broker, fresh[0], BODY)))).isNotEqualTo(approved);
    assertThat(decide(broker, waiting, "approve", hash).statusCode()).isEqualTo(409);
    assertThat(stage.reached).isEmpty();
  }

  @Test
  void changedScope_endsAnApproval() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY);
    String id = id(stage.ask(request));
    approve(broker, id);
    stage.needApproval(broker, "{\"validFor\":\"20m\"}");
    assertThat(id(stage.ask(request))).isNotEqualTo(id);
    assertThat(stage.reached).isEmpty();
  }

  @Test
  void questions_ofOneAgent_areBounded() throws Exception {
    for (int i = 0; i < 20; i++) {
      var _ = stage.ask(stage.pay(broker, token, "body " + i));
    }
    HttpResponse<String> more = stage.send(stage.pay(broker, token, "one more"));
    assertThat(more.statusCode()).isEqualTo(429);
    assertThat(error(more)).isEqualTo("approvals_pending");
    String others = stage.stage.token(broker, "other");
    assertThat(id(stage.ask(stage.pay(broker, others, BODY)))).isNotEmpty();
  }

  @Test
  void manyAtOnce_overTwoGateways_exactlyOnePasses() throws Exception {
    try (RunningBroker second = broker.replica(stage.stage.replicaOf(broker))) {
      stage.needApproval(broker, "{}", second);
      approve(broker, id(stage.ask(stage.pay(broker, token, BODY))));
      List<CompletableFuture<HttpResponse<String>>> sent = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        sent.add(stage.sendLater(stage.pay(i % 2 == 0 ? broker : second, token, BODY)));
      }
      int passed = 0;
      for (CompletableFuture<HttpResponse<String>> one : sent) {
        int status = one.get(120, TimeUnit.SECONDS).statusCode();
        assertThat(status).isIn(200, 403, 503);
        passed += status == 200 ? 1 : 0;
      }
      assertThat(passed).isEqualTo(1);
      assertThat(stage.reached).hasSize(1);
      assertThat(actions(broker)).containsEntry("approval.use granted", 1);
    }
  }

  @Test
  void heldRequest_whenApproved_goesOn() throws Exception {
    stage.needApproval(broker, "{\"hold\":\"60s\"}");
    CompletableFuture<HttpResponse<String>> held = stage.sendLater(stage.pay(broker, token, BODY));
    approve(broker, awaitPending());
    assertThat(held.get(60, TimeUnit.SECONDS).statusCode()).isEqualTo(200);
    assertThat(stage.reached).hasSize(1);
  }

  @Test
  void heldRequest_whenItIsStopped_isCut() throws Exception {
    stage.needApproval(broker, "{\"hold\":\"60s\"}");
    CompletableFuture<HttpResponse<String>> held = stage.sendLater(stage.pay(broker, token, BODY));
    var _ = awaitPending();
    var _ = StopStage.order(broker, "{\"agent\":\"bot\"}");
    assertThat(held.get(40, TimeUnit.SECONDS).statusCode()).isEqualTo(401);
    assertThat(stage.reached).isEmpty();
  }

  private String awaitPending() {
    return await()
        .atMost(Duration.ofSeconds(30))
        .ignoreExceptions()
        .until(() -> pending(broker).get("id").asString(), id -> !id.isEmpty());
  }
}
