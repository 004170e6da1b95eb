package io.valetkey.broker.proofs;

import static io.valetkey.broker.proofs.ApprovalStage.actions;
import static io.valetkey.broker.proofs.ApprovalStage.approve;
import static io.valetkey.broker.proofs.ApprovalStage.error;
import static io.valetkey.broker.proofs.ApprovalStage.id;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.BrokerProcess;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Approvals with a gateway that dies and a database that hangs. Invariants: H2, H6. */
@Timeout(300)
class ApprovalFailuresTest {

  /** What a caller waits at most for the store of approvals. */
  private static final Duration BOUND = Duration.ofSeconds(30);

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
  void gatewayThatDiesBeforeItSends_hasUsedTheApprovalUp() throws Exception {
    try (var silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      // It takes the connection and never answers the handshake: nothing of a request is sent.
      new Policies(broker)
          .write(
              "destination",
              "openai",
              "UPDATE destination SET version = version + 1, spec = spec || ?::jsonb"
                  + " WHERE name = 'openai'",
              "{\"origin\":\"https://localhost:%d\"}".formatted(silent.getLocalPort()))
          .await(broker);
      HttpRequest request = stage.pay(broker, token, "killed");
      String id = id(stage.ask(request));
      approve(broker, id);
      try (BrokerProcess dying =
          BrokerProcess.replica(broker, folder, stage.stage.replicaOf(broker))) {
        CompletableFuture<HttpResponse<String>> sent =
            stage.sendLater(
                HttpRequest.newBuilder(URI.create(dying.gatewayUrl() + "/d/openai/pay"))
                    .headers("Authorization", "Bearer " + token, "Content-Type", "application/json")
                    .POST(BodyPublishers.ofString("killed"))
                    .build());
        await().atMost(BOUND).until(() -> state(id).equals("used"));
        dying.kill();
        assertThatThrownBy(() -> sent.get(60, TimeUnit.SECONDS))
            .as("the caller was answered nothing")
            .hasCauseInstanceOf(java.io.IOException.class);
      }
      assertThat(state(id)).isEqualTo("used");
      assertThat(actions(broker)).containsEntry("approval.use granted", 1);
      assertThat(id(stage.ask(request))).isNotEqualTo(id);
      assertThat(actions(broker)).containsEntry("approval.use granted", 1);
    }
  }

  @Test
  void lockedStore_letsNothingPass_andUsesNothingUp() throws Exception {
    HttpRequest request = stage.pay(broker, token, "locked");
    String id = id(stage.ask(request));
    approve(broker, id);
    try (var database = broker.database()) {
      database.setAutoCommit(false);
      database.createStatement().execute("LOCK TABLE approval IN ACCESS EXCLUSIVE MODE");
      for (HttpRequest asked : new HttpRequest[] {request, stage.pay(broker, token, "anew")}) {
        long begun = System.nanoTime();
        HttpResponse<String> refused = stage.send(asked);
        assertThat(refused.statusCode()).as(refused.body()).isEqualTo(503);
        assertThat(error(refused)).isEqualTo("temporarily_unavailable");
        assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(BOUND);
      }
      assertThat(stage.reached).isEmpty();
      database.rollback();
    }
    assertThat(state(id)).isEqualTo("approved");
    assertThat(stage.send(request).statusCode()).isEqualTo(200);
    assertThat(id(stage.ask(request))).isNotEqualTo(id);
    assertThat(stage.reached).containsExactly("POST /pay locked");
  }

  private String state(String id) throws Exception {
    return StopStage.admin(broker, "GET", "/approvals/" + id, null).get("state").asString();
  }
}
