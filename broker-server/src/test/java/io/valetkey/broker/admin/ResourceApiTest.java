package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.admin.AdminClient.Answer;
import io.valetkey.broker.policy.Documents;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResourceApiTest {

  private static RunningBroker broker;
  private static AdminClient admin;

  @BeforeAll
  static void start() {
    broker = RunningBroker.start(Map.of());
    admin = AdminClient.bootstrap(broker);
    assertThat(admin.put("/issuers/idp", Documents.OIDC_ISSUER.formatted("a")).status())
        .isEqualTo(201);
    admin.put("/destinations/openai", Documents.DESTINATION);
    admin.put("/destinations/openai/scopes/chat", Documents.SCOPE);
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @Test
  void put_createsThenReplaces_withAnETagThatMovesOn() {
    String body = Documents.agent("idp", "etag");
    Answer created = admin.put("/agents/etag", body);
    assertThat(created.status()).isEqualTo(201);
    assertThat(created.header("Location")).isEqualTo("/admin/v1/agents/etag");
    assertThat(created.header("Cache-Control")).isEqualTo("no-store");
    assertThat(created.eTag()).matches("\"[0-9]+\"");
    assertThat(created.json().get("name").stringValue()).isEqualTo("etag");
    assertThat(created.json().propertyNames())
        .containsExactlyInAnyOrder("name", "identities", "createdAt", "updatedAt", "managedBy");

    Answer read = admin.get("/agents/etag");
    assertThat(read.eTag()).isEqualTo(created.eTag());
    assertThat(admin.send("GET", "/agents/etag", null, "If-None-Match", read.eTag()).status())
        .isEqualTo(304);

    assertThat(admin.put("/agents/etag", body).code()).isEqualTo("precondition_required");
    assertThat(admin.put("/agents/etag", body, "If-None-Match", "*").status()).isEqualTo(412);
    assertThat(admin.put("/agents/etag", body, "If-Match", "W/" + read.eTag()).status())
        .isEqualTo(412);
    Answer replaced = admin.put("/agents/etag", body, "If-Match", "\"0\", " + read.eTag());
    assertThat(replaced.status()).isEqualTo(200);
    assertThat(replaced.eTag()).isNotEqualTo(read.eTag());
    assertThat(admin.put("/agents/etag", body, "If-Match", read.eTag()).status()).isEqualTo(412);

    assertThat(admin.delete("/agents/etag").status()).isEqualTo(428);
    assertThat(admin.delete("/agents/etag", "If-Match", replaced.eTag()).status()).isEqualTo(204);
    assertThat(admin.get("/agents/etag").status()).isEqualTo(404);
    assertThat(admin.delete("/agents/etag", "If-Match", "*").status()).isEqualTo(404);
  }

  @Test
  void patch_isAMergePatch() {
    admin.put("/agents/patched", "{\"identities\": [], \"maxTokenTtl\": \"5m\"}");
    Answer patched =
        admin.send(
            "PATCH",
            "/agents/patched",
            "{\"maxTokenTtl\": null, \"enabled\": false}",
            "If-Match",
            "*",
            "Content-Type",
            "application/merge-patch+json");
    assertThat(patched.status()).isEqualTo(200);
    assertThat(patched.json().has("maxTokenTtl")).isFalse();
    assertThat(patched.json().get("enabled").booleanValue()).isFalse();
    Answer wrong = admin.send("PATCH", "/agents/patched", "{\"x\": 1}", "If-Match", patched.eTag());
    assertThat(wrong.status()).isEqualTo(400);
    assertThat(wrong.json().at("/errors/0/pointer").stringValue()).isEqualTo("/x");
  }

  @Test
  void dryRun_showsTheDifferenceAndChangesNothing() {
    Answer before = admin.put("/agents/dry", "{\"identities\": [], \"maxTokenTtl\": \"5m\"}");
    Answer rehearsal =
        admin.put("/agents/dry?dryRun=true", "{\"identities\": [], \"maxTokenTtl\": \"6m\"}");
    assertThat(rehearsal.status()).isEqualTo(200);
    assertThat(rehearsal.eTag()).isEmpty();
    assertThat(rehearsal.response().body())
        .isEqualTo(
            "{\"changes\":[{\"path\":\"/maxTokenTtl\",\"before\":\"5m\",\"after\":\"6m\"}]}");
    assertThat(admin.get("/agents/dry").eTag()).isEqualTo(before.eTag());
    assertThat(admin.put("/agents/new?dryRun=true", "{\"identities\": []}").status())
        .isEqualTo(200);
    assertThat(admin.get("/agents/new").status()).isEqualTo(404);
    assertThat(admin.delete("/agents/dry?dryRun=true").status()).isEqualTo(200);
    assertThat(admin.get("/agents/dry").status()).isEqualTo(200);
    assertThat(admin.put("/agents/dry?dryRun=true", "{}").status()).isEqualTo(400);
    assertThat(admin.put("/agents/new?dryrun=true", "{\"identities\": []}").status())
        .isEqualTo(400);
    assertThat(admin.get("/agents/new").status()).isEqualTo(404);
  }

  @Test
  void list_givesPagesThatStayInStep() {
    for (String name : List.of("page-a", "page-c", "page-e")) {
      admin.put("/destinations/" + name, Documents.DESTINATION);
    }
    Answer first = admin.get("/destinations?limit=2");
    assertThat(first.json().get("items").size()).isEqualTo(2);
    String next = first.json().get("next").stringValue();
    admin.put("/destinations/aaa", Documents.DESTINATION);
    List<String> rest = new ArrayList<>();
    Answer second = admin.get("/destinations?limit=500&cursor=" + next);
    second.json().get("items").forEach(item -> rest.add(item.get("name").stringValue()));
    assertThat(rest).doesNotContain("aaa", "openai", "page-a").contains("page-c", "page-e");
    assertThat(second.json().get("next").isNull()).isTrue();
    assertThat(admin.get("/destinations/openai/scopes").json().at("/items/0/name").stringValue())
        .isEqualTo("chat");
    assertThat(admin.get("/destinations/none/scopes").status()).isEqualTo(404);
  }

  @Test
  void put_whenSeveralHaveReadTheSame_exactlyOneWins() throws Exception {
    String eTag = admin.put("/agents/raced", "{\"identities\": []}").eTag();
    CyclicBarrier start = new CyclicBarrier(6);
    List<Callable<Integer>> calls = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      String body = "{\"identities\": [], \"maxTokenTtl\": \"%dm\"}".formatted(i + 1);
      calls.add(() -> {
        start.await();
        return admin.put("/agents/raced", body, "If-Match", eTag).status();
      });
    }
    List<Integer> statuses = new ArrayList<>();
    try (var threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (var answer : threads.invokeAll(calls)) {
        statuses.add(answer.get());
      }
    }
    assertThat(statuses).containsOnlyOnce(200).containsOnly(200, 412);
  }

  @Test
  void put_whenRefused_saysWhereAndWhy() {
    Answer answer = admin.put("/grants/g", "{\"agent\": 1, \"scopes\": [], \"x\": 1}");
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.header("Content-Type")).isEqualTo("application/problem+json");
    assertThat(answer.json().get("type").stringValue())
        .isEqualTo(broker.url() + "/problems/invalid_field");
    assertThat(answer.json().get("title").stringValue()).isNotBlank();
    assertThat(answer.json().get("status").intValue()).isEqualTo(400);
    assertThat(answer.json().get("errors"))
        .extracting(error -> error.get("pointer").stringValue())
        .containsExactlyInAnyOrder("/agent", "/destination", "/x");
    assertThat(new AdminClient(broker.url(), null).get("/problems/invalid_field").status())
        .isEqualTo(200);
  }

  @Test
  void delete_whenReferredTo_isAConflictThatNamesWhat() {
    Answer answer = admin.delete("/destinations/openai", "If-Match", "*");
    assertThat(answer.status()).isEqualTo(409);
    assertThat(answer.json().get("detail").stringValue()).contains("scopes: chat");
  }

  @Test
  void write_leavesAnAuditRecordWithBeforeAndAfter() throws Exception {
    admin.put("/agents/audited", "{\"identities\": []}");
    admin.delete("/agents/audited", "If-Match", "*");
    try (var connection = broker.database();
        var rows =
            connection
                .createStatement()
                .executeQuery(
                    "SELECT action, details->>'actor', jsonb_exists(details, 'before'),"
                        + " jsonb_exists(details, 'after')"
                        + " FROM audit_record WHERE agent = 'audited' ORDER BY writer")) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getString(1)).isEqualTo("admin.create");
      assertThat(rows.getString(2)).isEqualTo("bootstrap");
      assertThat(rows.getBoolean(3)).isFalse();
      assertThat(rows.next()).isTrue();
      assertThat(rows.getString(1)).isEqualTo("admin.delete");
      assertThat(rows.getBoolean(4)).isFalse();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      textBlock =
          """
          PUT    | /agents/x        | {           | -            | -          | 400 | invalid_json
          PUT    | /agents/x        | -           | Content-Type | application/json | 400 | invalid_json
          PUT    | /agents/x        | {"identities":[],"identities":[]} | - | -   | 400 | invalid_json
          PUT    | /agents/x        | {}          | Content-Type | text/plain | 415 | unsupported_media_type
          PUT    | /agents/x        | {}          | Content-Type | nonsense   | 415 | unsupported_media_type
          PUT    | /agents/X        | {}          | -            | -          | 400 | invalid_request
          PUT    | /agents/x        | {}          | If-Match     | 5          | 400 | invalid_request
          PUT    | /agents/x        | {}          | If-Match     | "5         | 400 | invalid_request
          PUT    | /agents/x        | {"identities":[]} | If-Match | "5"      | 412 | precondition_failed
          PUT    | /agents/x        | {}          | If-None-Match| "5"        | 400 | invalid_request
          PUT    | /agents/x?dryRun=1 | {}        | -            | -          | 400 | invalid_request
          PUT    | /agents/x?dryRun | {}          | -            | -          | 400 | invalid_request
          PUT    | /agents/x?dryRun=true&dryRun=true | {} | -      | -          | 400 | invalid_request
          PUT    | /destinations/none/scopes/s | {"allow":[]} | -  | -          | 404 | not_found
          PUT    | /nothing/x       | {}          | -            | -          | 404 | not_found
          PUT    | /agents          | {}          | -            | -          | 405 | method_not_allowed
          POST   | /agents          | {}          | -            | -          | 405 | method_not_allowed
          DELETE | /agents          | -           | -            | -          | 405 | method_not_allowed
          OPTIONS| /agents/x        | -           | -            | -          | 405 | method_not_allowed
          PATCH  | /agents/none     | {}          | If-Match     | *          | 404 | not_found
          GET    | /agents/none     | -           | -            | -          | 404 | not_found
          GET    | /agents/%00      | -           | -            | -          | 400 | invalid_request
          GET    | /agents/a%2fb    | -           | -            | -          | 400 | invalid_request
          GET    | /agents/x;a=b    | -           | -            | -          | 400 | invalid_request
          GET    | /agents/%c3%a9   | -           | -            | -          | 404 | not_found
          GET    | /agents?limit=0  | -           | -            | -          | 400 | invalid_request
          GET    | /agents?limit=501| -           | -            | -          | 400 | invalid_request
          GET    | /agents?limit=x  | -           | -            | -          | 400 | invalid_request
          GET    | /agents?limit=   | -           | -            | -          | 400 | invalid_request
          GET    | /agents?cursor=! | -           | -            | -          | 400 | invalid_request
          GET    | /agents?cursor=QQ=| -          | -            | -          | 400 | invalid_request
          GET    | /agents?cursor=  | -           | -            | -          | 400 | invalid_request
          GET    | /agents?x=1      | -           | -            | -          | 400 | invalid_request
          GET    | /agents/         | -           | -            | -          | 404 | not_found
          """)
  void malformed_isRefusedByNameAndNeverAsOurFault(
      String method,
      String path,
      String body,
      String header,
      String value,
      int status,
      String code) {
    Answer answer =
        header == null
            ? admin.send(method, path, body)
            : admin.send(method, path, body, header, value);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(status);
    assertThat(answer.code()).as(answer.response().body()).isEqualTo(code);
    assertThat(answer.header("Cache-Control")).isEqualTo("no-store");
    assertThat(answer.response().body()).doesNotContain("Exception", "java.", "\tat ", "org.");
    if (status == 405) {
      assertThat(answer.header("Allow")).contains("GET");
    }
  }

  @Test
  void put_whenTheBodyIsTooLarge_refuses() {
    Answer answer = admin.put("/agents/large", " ".repeat((1 << 20) + 1) + "{}");
    assertThat(answer.status()).isEqualTo(413);
    assertThat(answer.code()).isEqualTo("content_too_large");
  }

  @Test
  void head_answersLikeGetWithoutABody() {
    Answer answer = admin.send("HEAD", "/destinations/openai", null);
    assertThat(answer.status()).isEqualTo(200);
    assertThat(answer.eTag()).isNotEmpty();
    assertThat(answer.response().body()).isEmpty();
  }
}
