package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.admin.AdminClient.Answer;
import io.valetkey.broker.policy.Documents;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class QuestionsApiTest {

  private static RunningBroker broker;
  private static AdminClient admin;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    admin = AdminClient.bootstrap(broker);
    admin.put("/issuers/idp", Documents.OIDC_ISSUER.formatted("a"));
    admin.put("/agents/claims-bot", Documents.agent("idp", "bot"));
    admin.put("/agents/idle-bot", Documents.agent("idp", "idle"));
    admin.put("/destinations/openai", Documents.DESTINATION);
    admin.put("/destinations/openai/scopes/chat", Documents.SCOPE);
    admin.put(
        "/destinations/openai/scopes/models",
        """
        {"allow": [{"methods": ["GET"], "paths": ["/v1/models"]}]}\
        """);
    admin.put(
        "/destinations/s3", Documents.DESTINATION.replaceFirst("\\{", "{\"rawPath\": true, "));
    admin.put(
        "/destinations/s3/scopes/read",
        """
        {"allow": [{"methods": ["GET"], "paths": ["/b/a/**"]}]}\
        """);
    admin.put(
        "/grants/s3",
        """
        {"agent": "claims-bot", "destination": "s3", "scopes": ["read"]}\
        """);
    assertThat(admin.put("/grants/g", Documents.GRANT).status()).isEqualTo(201);
    await(() -> admin.get("/agents/claims-bot/reach").json().at("/destinations/1").isObject());
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          claims-bot | openai | POST   | /v1/chat/completions | granted | rule        | passed
          nobody     | openai | POST   | /v1/chat/completions | refused | agent       | agent_unknown
          idle-bot   | openai | POST   | /v1/chat/completions | refused | grant       | not_granted
          claims-bot | none   | POST   | /v1/chat/completions | refused | destination | destination_unknown
          claims-bot | openai | GET    | /v1/chat/completions | refused | rule        | insufficient_scope
          claims-bot | openai | GET    | /v1/models           | refused | rule        | insufficient_scope
          claims-bot | openai | POST   | /v1/../x             | refused | path        | invalid_path
          claims-bot | openai | POST   | /v1//x               | refused | path        | invalid_path
          claims-bot | s3     | GET    | /b/a//x%2Fy          | granted | rule        | passed
          claims-bot | s3     | GET    | /b/%61//x            | refused | rule        | insufficient_scope
          claims-bot | s3     | GET    | /b/a/%252e%2e/x      | refused | path        | invalid_path
          """)
  void explain_goesTheStepsOfTheDecision(
      String agent,
      String to,
      String method,
      String path,
      String outcome,
      String step,
      String result) {
    Answer answer =
        explain(
            "{\"agent\": \"%s\", \"destination\": \"%s\", \"method\": \"%s\", \"path\": \"%s\"}"
                .formatted(agent, to, method, path));
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.json().get("outcome").stringValue()).isEqualTo(outcome);
    var steps = answer.json().get("steps");
    var last = steps.get(steps.size() - 1);
    assertThat(last.get("step").stringValue()).isEqualTo(step);
    assertThat(last.get("result").stringValue()).isEqualTo(result);
    assertThat(answer.json().get("rule").isObject()).isEqualTo(outcome.equals("granted"));
  }

  @Test
  void explain_namesTheNearestRuleAndTheChangeThatWouldAllowIt() {
    Answer scope =
        explain(
            """
            {"agent": "claims-bot", "destination": "openai", "method": "GET", "path": "/v1/models"}\
            """);
    assertThat(scope.json().at("/nearest/scope").stringValue()).isEqualTo("models");
    assertThat(scope.json().at("/nearest/change").stringValue()).contains("models");
    Answer badToken = explain("{\"identity_token\": \"a.b.c\", \"destination\": \"openai\"}");
    assertThat(badToken.json().get("outcome").stringValue()).isEqualTo("refused");
    assertThat(badToken.json().at("/steps/1/step").stringValue()).isEqualTo("identity");
    assertThat(explain("{\"destination\": \"openai\"}").status()).isEqualTo(400);
    assertThat(explain("{\"agent\": \"a\", \"destination\": \"d\", \"method\": \"GET\"}").status())
        .isEqualTo(400);
  }

  @Test
  void reach_listsWhatTheAgentMayDo() {
    Answer answer = admin.get("/agents/claims-bot/reach");
    assertThat(answer.json().at("/destinations/0/destination").stringValue()).isEqualTo("openai");
    assertThat(answer.json().at("/destinations/0/allow/0/methods/0").stringValue())
        .isEqualTo("POST");
    assertThat(admin.get("/agents/idle-bot/reach").json().get("destinations").isEmpty()).isTrue();
    assertThat(admin.get("/agents/nobody/reach").status()).isEqualTo(404);
  }

  @Test
  void usage_ofAGrant_namesEachOfItsLimits() {
    assertThat(admin.get("/grants/g/usage").json().get("limits").isEmpty()).isTrue();
    assertThat(admin.get("/grants/nothing/usage").status()).isEqualTo(404);
    assertThat(admin.get("/grants/No_Name/usage").status()).isEqualTo(404);
    String limited = Documents.GRANT.replace("}", ", \"limits\": {\"requestsPerMinute\": 60}}");
    assertThat(admin.put("/grants/g", limited, "If-Match", "*").status()).isEqualTo(200);
    var used = admin.get("/grants/g/usage").json().at("/limits/requestsPerMinute");
    assertThat(used.get("limit").asInt()).isEqualTo(60);
    assertThat(used.get("used").asInt()).isZero();
    assertThat(used.get("left").asInt()).isEqualTo(60);
    assertThat(admin.get("/grants/g/usage?x=1").status()).isEqualTo(400);
    String budgets =
        Documents.GRANT.replace(
            "}",
            ", \"limits\": {\"modelTokensPerHour\": 5, \"modelTokensPerDay\": 6, \"bytesPerDay\": \"2KiB\","
                + " \"concurrentStreams\": 7}}");
    assertThat(admin.put("/grants/g", budgets, "If-Match", "*").status()).isEqualTo(200);
    var limits = admin.get("/grants/g/usage").json().get("limits");
    assertThat(limits.propertyNames())
        .containsExactly(
            "modelTokensPerHour", "modelTokensPerDay", "bytesPerDay", "concurrentStreams");
    assertThat(limits.at("/bytesPerDay/limit").asLong()).isEqualTo(2048);
    assertThat(limits.at("/modelTokensPerDay/left").asLong()).isEqualTo(6);
    assertThat(limits.at("/modelTokensPerDay/resetsAt").stringValue()).endsWith("T00:00:00Z");
    assertThat(limits.at("/concurrentStreams/resetsAt").isMissingNode()).isTrue();
  }

  @Test
  void limits_thatCannotBeKept_areRefused() {
    String leased =
        "{\"kind\": \"lease\", \"origin\": \"postgresql://db.test:5432/orders\", \"credential\":"
            + " {\"source\": \"vault-dynamic\", \"mount\": \"database\", \"role\": \"r\"}}";
    assertThat(admin.put("/destinations/orders", leased).status()).isEqualTo(201);
    assertThat(admin.put("/destinations/orders/scopes/all", "{\"lease\": {}}").status())
        .isEqualTo(201);
    String grant =
        "{\"agent\": \"claims-bot\", \"destination\": \"orders\", \"scopes\": [\"all\"], \"limits\": %s}";
    Answer refused = admin.put("/grants/o", grant.formatted("{\"modelTokensPerDay\": 5}"));
    assertThat(refused.status()).isEqualTo(400);
    assertThat(refused.response().body()).contains("/limits", "does not pass a gateway");
    assertThat(admin.put("/grants/o", grant.formatted("{\"requestsPerMinute\": 5}")).status())
        .isEqualTo(201);
    assertThat(admin.delete("/grants/o", "If-Match", "*").status()).isEqualTo(204);
  }

  @Test
  void stop_isOrderedWatchedAndLifted() {
    Answer ordered =
        admin.send(
            "POST",
            "/stops",
            "{\"target\": {\"agent\": \"not-there-yet\"}, \"reason\": \"odd uploads\", \"expiresAt\": null}");
    assertThat(ordered.status()).as(ordered.response().body()).isEqualTo(201);
    String place = ordered.header("Location").replace("/admin/v1", "");
    assertThat(ordered.json().get("state").stringValue()).isEqualTo("active");
    await(() -> admin.get(place).json().get("acknowledged").booleanValue());
    await(() ->
        explain("{\"agent\": \"not-there-yet\", \"destination\": \"openai\"}")
            .json()
            .get("outcome")
            .stringValue()
            .equals("refused"));
    assertThat(admin.get("/stops?limit=1").json().at("/items/0/id").stringValue())
        .isEqualTo(ordered.json().get("id").stringValue());
    assertThat(admin.send("DELETE", place, "{}").status()).isEqualTo(400);
    assertThat(admin.send("DELETE", place + "?dryRun=true", "{\"reason\": \"x\"}").status())
        .isEqualTo(200);
    assertThat(admin.send("DELETE", place, "{\"reason\": \"false alarm\"}").status())
        .isEqualTo(204);
    assertThat(admin.get(place).json().get("state").stringValue()).isEqualTo("lifted");
    assertThat(admin.send("DELETE", place, "{\"reason\": \"again\"}").status()).isEqualTo(409);
    Answer audit = admin.get("/audit?agent=not-there-yet");
    assertThat(audit.json().get("items"))
        .extracting(item -> item.get("action").stringValue())
        .containsExactly("stop.lift", "stop.create");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"target\": {\"agent\": \"a\"}}",
        "{\"target\": {}, \"reason\": \"r\"}",
        "{\"target\": null, \"reason\": \"r\"}",
        "{\"target\": {\"agent\": \"a\", \"everything\": true}, \"reason\": \"r\"}",
        "{\"target\": {\"everything\": false}, \"reason\": \"r\"}",
        "{\"target\": {\"agent\": \"A b\"}, \"reason\": \"r\"}",
        "{\"target\": {\"agent\": \"a\"}, \"reason\": \"\"}",
        "{\"target\": {\"agent\": \"a\"}, \"reason\": \" \"}",
        "{\"target\": {\"agent\": \"a\"}, \"reason\": \"r\", \"expiresAt\": \"soon\"}",
        "{\"target\": {\"agent\": \"a\"}, \"reason\": \"r\", \"expiresAt\": \"2020-01-01T00:00:00Z\"}",
        "{\"target\": {\"agent\": \"a\"}, \"reason\": \"r\", \"x\": 1}"
      })
  void stop_whenItIsNotClearWhatIsMeant_isRefused(String body) {
    long before = admin.get("/stops").json().get("items").size();
    assertThat(admin.send("POST", "/stops", body).status()).isEqualTo(400);
    assertThat(admin.get("/stops").json().get("items").size()).isEqualTo((int) before);
  }

  @Test
  void audit_showsRecordsNewestFirstInPages() {
    for (String name : List.of("a1", "a2", "a3")) {
      admin.put("/agents/" + name, "{\"identities\": []}");
    }
    Answer first = admin.get("/audit?action=admin.create&limit=2");
    assertThat(first.json().at("/items/0/agent").stringValue()).isEqualTo("a3");
    String next = first.json().get("next").stringValue();
    Answer second = admin.get("/audit?action=admin.create&limit=1&cursor=" + next);
    assertThat(second.json().at("/items/0/agent").stringValue()).isEqualTo("a1");
    String id = first.json().at("/items/0/decision_id").stringValue();
    Answer decision = admin.get("/decisions/" + id);
    assertThat(decision.json()).isEqualTo(first.json().at("/items/0"));
    assertThat(admin.get("/audit?since=2999-01-01T00:00:00Z").json().get("items").isEmpty())
        .isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/audit?outcome=maybe",
        "/audit?since=yesterday",
        "/audit?until=2027-01-01",
        "/audit?agent=",
        "/audit?agent=%00",
        "/audit?cursor=QQ",
        "/audit?x=1",
        "/stops?cursor=QQ",
        "/stops?limit=0"
      })
  void read_whenAFilterIsMalformed_refuses(String path) {
    Answer answer = admin.get(path);
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.code()).isEqualTo("invalid_request");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/stops/1",
        "/stops/00000000-0000-7000-8000-000000000000",
        "/decisions/1",
        "/decisions/00000000-0000-7000-8000-000000000000"
      })
  void read_whenThereIsNone_saysSo(String path) {
    assertThat(admin.get(path).code()).isEqualTo("not_found");
  }

  private static Answer explain(String question) {
    return admin.send("POST", "/decisions/explain", question);
  }

  private static void await(BooleanSupplier condition) {
    Instant end = Instant.now().plus(Duration.ofSeconds(10));
    while (!condition.getAsBoolean()) {
      assertThat(Instant.now()).as("in time").isBefore(end);
      Thread.onSpinWait();
    }
  }
}
