package io.valetkey.broker.proofs;

import static io.valetkey.broker.proofs.ApprovalStage.approve;
import static io.valetkey.broker.proofs.ApprovalStage.decide;
import static io.valetkey.broker.proofs.ApprovalStage.error;
import static io.valetkey.broker.proofs.ApprovalStage.id;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.approval.ApprovalWaits;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/**
 * What ends an approval, keeps it from being asked for, or must not get by it. Invariants: H1, H3,
 * H4, H6, H7.
 */
@Timeout(120)
class ApprovalEdgesTest {

  @TempDir private static Path folder;
  private static ApprovalStage stage;
  private static RunningBroker broker;

  @BeforeAll
  static void start() throws Exception {
    stage = new ApprovalStage(folder);
    broker = stage.start();
    stage.needApproval(broker, "{}");
  }

  @AfterAll
  static void stop() {
    broker.close();
    stage.close();
  }

  /** A token that no stop of an earlier test has ended. */
  private static String token(String agent) {
    return await()
        .atMost(Duration.ofSeconds(30))
        .ignoreExceptions()
        .until(
            () -> {
              String made = stage.stage.token(broker, agent);
              return use(made) == 401 ? "" : made;
            },
            made -> !made.isEmpty());
  }

  private static int use(String token) throws Exception {
    return StopStage.use(broker.gatewayUrl(), token);
  }

  private static String hash(String id) throws Exception {
    return StopStage.admin(broker, "GET", "/approvals/" + id, null).get("requestHash").asString();
  }

  private static void sql(String statement) throws Exception {
    try (var database = broker.database();
        var prepared = database.createStatement()) {
      prepared.execute(statement);
    }
  }

  @Test
  void request_thatAnotherScopeOfTheTokenAllows_needsNoApproval() throws Exception {
    Policies policies = new Policies(broker);
    policies
        .scope("openai", "free", "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/pay\"]}]}")
        .agent("both", "ci", "both", "")
        .grant("both-openai", "both", "openai", List.of("all", "free"))
        .await(broker);
    HttpResponse<String> sent = stage.send(stage.pay(broker, token("both"), "both scopes"));
    assertThat(sent.statusCode()).as(sent.body()).isEqualTo(200);
    Map<String, String> form = Tokens.exchange(stage.stage.issuer.token("both", broker.url()));
    form.put("audience", "openai");
    form.put("scope", "all");
    String narrow = Tokens.ask(broker.url(), form).token();
    assertThat(error(stage.send(stage.pay(broker, narrow, "one scope"))))
        .isEqualTo("approval_required");
  }

  @ParameterizedTest
  @ValueSource(strings = {"destination", "issuer", "token"})
  void stop_endsTheQuestionForGood(String kind) throws Exception {
    HttpRequest request = stage.pay(broker, token("bot"), "stopped by " + kind);
    String id = id(stage.ask(request));
    String hash = hash(id);
    String name =
        switch (kind) {
          case "destination" -> "openai";
          case "issuer" -> "ci";
          default -> StopStage.admin(broker, "GET", "/approvals/" + id, null).get("jti").asString();
        };
    JsonNode stop = StopStage.order(broker, "{\"%s\":\"%s\"}".formatted(kind, name));
    StopStage.awaitAcknowledged(broker, stop);
    assertThat(decide(broker, id, "approve", hash).statusCode()).isEqualTo(409);
    if (!kind.equals("token")) {
      StopStage.adminAnswer(
          broker, "DELETE", "/stops/" + stop.get("id").asString(), "{\"reason\":\"over\"}");
    }
    String again = id(stage.ask(stage.pay(broker, token("bot"), "stopped by " + kind)));
    assertThat(again).isNotEqualTo(id);
    assertThat(decide(broker, id, "approve", hash).statusCode()).isEqualTo(409);
    assertThat(stage.reached).noneMatch(sent -> sent.contains("stopped by " + kind));
  }

  @Test
  void approval_whoseTimeIsOver_isNone() throws Exception {
    HttpRequest request = stage.pay(broker, token("bot"), "late");
    String id = id(stage.ask(request));
    String hash = hash(id);
    sql("UPDATE approval SET expires_at = clock_timestamp() WHERE id = '" + id + "'");
    assertThat(decide(broker, id, "approve", hash).statusCode()).isEqualTo(409);
    String second = id(stage.ask(request));
    assertThat(second).isNotEqualTo(id);
    approve(broker, second);
    sql("UPDATE approval SET expires_at = clock_timestamp() WHERE id = '" + second + "'");
    assertThat(id(stage.ask(request))).isNotIn(id, second);
    assertThat(stage.reached).noneMatch(sent -> sent.endsWith("late"));
  }

  @Test
  void changedDestination_endsAnApproval() throws Exception {
    HttpRequest request = stage.pay(broker, token("bot"), "elsewhere");
    String id = id(stage.ask(request));
    approve(broker, id);
    Policies policies = new Policies(broker);
    policies
        .write(
            "destination",
            "openai",
            "UPDATE destination SET version = version + 1, spec = spec || ?::jsonb"
                + " WHERE name = 'openai'",
            "{\"timeout\":\"50s\"}")
        .await(broker);
    assertThat(id(stage.ask(request))).isNotEqualTo(id);
    assertThat(stage.reached).noneMatch(sent -> sent.endsWith("elsewhere"));
  }

  @Test
  void questions_areBoundedAltogether() throws Exception {
    sql(
        "INSERT INTO approval (id, state, agent, issuer, subject, jti, destination, scope,"
            + " grant_name, epoch, terms, request_hash, method, url, body_size, valid_seconds,"
            + " expires_at) SELECT gen_random_uuid(), 'pending', 'filler' || n, 'i', 's', 'j', 'd',"
            + " 'sc', 'g', 0, '', sha256(n::text::bytea), 'GET', 'u', 0, 900, now() + interval"
            + " '1 hour' FROM generate_series(1, 1000) n");
    try {
      HttpResponse<String> more = stage.send(stage.pay(broker, token("other"), "one too many"));
      assertThat(more.statusCode()).isEqualTo(429);
      assertThat(error(more)).isEqualTo("approvals_pending");
    } finally {
      sql("DELETE FROM approval WHERE agent LIKE 'filler%'");
    }
    assertThat(id(stage.ask(stage.pay(broker, token("other"), "one too many")))).isNotEmpty();
  }

  @Test
  void whatNobodyCanSeeBefore_cannotBeApproved() throws Exception {
    String token = token("bot");
    for (String[] field :
        List.of(
            new String[] {"Content-Type", "application/grpc"},
            new String[] {"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})) {
      HttpResponse<String> answer =
          stage.send(
              stage
                  .request(broker, token, "/pay")
                  .headers(field)
                  .POST(BodyPublishers.ofString("x"))
                  .build());
      assertThat(error(answer)).as(field[1]).isEqualTo("approval_impossible");
    }
  }

  @Test
  void webSocket_isRefusedBeforeAnybodyIsAsked() throws Exception {
    // The admin API takes no such scope; a row that came otherwise must not let one by.
    new Policies(broker)
        .write(
            "scope",
            "openai/all",
            "UPDATE scope SET version = version + 1, spec = spec || ?::jsonb WHERE name = 'all'",
            "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/**\"],\"webSocket\":true}]}")
        .await(broker);
    try {
      URI socket = URI.create(broker.gatewayUrl().replace("http:", "ws:") + "/d/openai/pay/socket");
      CompletableFuture<WebSocket> opened =
          stage
              .client
              .newWebSocketBuilder()
              .header("Authorization", "Bearer " + token("bot"))
              .buildAsync(socket, new WebSocket.Listener() {});
      assertThatThrownBy(() -> opened.get(60, TimeUnit.SECONDS))
          .cause()
          .isInstanceOfSatisfying(
              WebSocketHandshakeException.class,
              refused -> {
                assertThat(refused.getResponse().statusCode()).isEqualTo(403);
                assertThat(refused.getResponse().headers().firstValue("valetkey-error"))
                    .contains("approval_impossible");
              });
      assertThat(stage.reached).noneMatch(sent -> sent.contains("/pay/socket"));
    } finally {
      new Policies(broker)
          .write(
              "scope",
              "openai/all",
              "UPDATE scope SET version = version + 1, spec = spec || ?::jsonb WHERE name = 'all'",
              "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/**\"]}]}")
          .await(broker);
    }
  }

  static Stream<String> wrongScopes() {
    String allow = "\"allow\":[{\"methods\":[\"GET\"],\"paths\":[\"/x\"]%s}]";
    return Stream.of(
        "{" + allow.formatted("") + ",\"approval\":{\"validFor\":\"30s\"}}",
        "{" + allow.formatted("") + ",\"approval\":{\"validFor\":\"25h\"}}",
        "{" + allow.formatted("") + ",\"approval\":{\"hold\":\"2m\"}}",
        "{" + allow.formatted("") + ",\"approval\":{\"hold\":\"0s\"}}",
        "{" + allow.formatted(",\"webSocket\":true") + ",\"approval\":{}}");
  }

  @Test
  void termsThatCannotHold_areRefusedWhenTheyAreWritten() throws Exception {
    for (String wrong : wrongScopes().toList()) {
      HttpResponse<String> answer =
          StopStage.adminAnswer(broker, "PUT", "/destinations/openai/scopes/wrong", wrong);
      assertThat(answer.statusCode()).as(wrong + " " + answer.body()).isEqualTo(400);
      assertThat(answer.body()).containsAnyOf("/approval/", "webSocket");
      HttpResponse<String> applied =
          StopStage.adminAnswer(
              broker,
              "POST",
              "/apply",
              "{\"managedBy\":\"wrong\",\"documents\":[{\"kind\":\"scope\",\"name\":\"openai/wrong\",\"spec\":%s}]}"
                  .formatted(wrong));
      assertThat(applied.statusCode()).as(wrong + " " + applied.body()).isEqualTo(400);
      assertThat(applied.body()).containsAnyOf("/spec/approval/", "webSocket");
    }
  }

  @Test
  void callerThatHasGone_usesNothingUp() throws Exception {
    String token = token("bot");
    stage.needApproval(broker, "{\"hold\":\"60s\"}");
    String id;
    try {
      URI gateway = URI.create(broker.gatewayUrl());
      try (Socket caller = new Socket(gateway.getHost(), gateway.getPort())) {
        caller
            .getOutputStream()
            .write(
                "POST /d/openai/pay HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngone"
                    .formatted(gateway.getHost(), gateway.getPort(), token)
                    .getBytes(StandardCharsets.US_ASCII));
        id = await().atMost(Duration.ofSeconds(30)).until(() -> waiting(4), found -> found != null);
      }
      String left = id;
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> broker.bean(ApprovalWaits.class).size() == 0);
      approve(broker, left);
      await()
          .pollDelay(Duration.ofSeconds(2))
          .until(() ->
              StopStage.admin(broker, "GET", "/approvals/" + left, null)
                  .get("state")
                  .asString()
                  .equals("approved"));
      assertThat(stage.reached).noneMatch(sent -> sent.endsWith("gone"));
    } finally {
      stage.needApproval(broker, "{}");
    }
  }

  /** The one that waits with a body of this size. */
  private static String waiting(int size) throws Exception {
    for (JsonNode item :
        StopStage.admin(broker, "GET", "/approvals?state=pending", null).get("items")) {
      if (item.get("bodySize").asInt() == size) {
        return item.get("id").asString();
      }
    }
    return null;
  }
}
