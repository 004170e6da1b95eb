package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.console.Visitor;
import io.valetkey.broker.control.Role;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A destination is tested from the console, through a real gateway and a real upstream. */
class SelfTestPageTest {

  private static final String OPENAI = "/console/destinations/openai";

  @TempDir private Path folder;

  @Test
  void test_showsEachStep_isForAdmins_andIsOnRecord() throws Exception {
    try (StopStage stage = new StopStage(folder);
        RunningBroker broker = RunningBroker.start(stage.settings())) {
      stage.writePolicy(broker, "good");
      Visitor admin = new Visitor(broker, Role.ADMIN);

      assertThat(admin.get(OPENAI).body())
          .contains("action=\"/console/destinations/openai/test\"", "name=\"path\"")
          .contains("$API/admin/v1/destinations/openai/test");
      Visitor operator = new Visitor(broker, Role.OPERATOR);
      assertThat(operator.get(OPENAI).body()).doesNotContain("/test\"");
      assertThat(operator.post(OPENAI + "/test", Map.of()).statusCode()).isEqualTo(403);

      HttpResponse<String> passed =
          admin.post(OPENAI + "/test", Map.of("path", "/ok", "method", "HEAD", "scope", ""));
      assertThat(passed.statusCode()).isEqualTo(200);
      assertThat(passed.body())
          .contains("<span class=\"tag granted\">passed</span>")
          .contains("<li class=\"passed\"><span class=\"step\">request</span>")
          .contains("answered 200")
          .doesNotContain(StopStage.KEY, "class=\"stopped\"");
      assertThat(admin.post(OPENAI + "/test", Map.of("path", "", "method", "GET")).body())
          .contains("<li class=\"skipped\"><span class=\"step\">request</span>");
      assertThat(admin.post(OPENAI + "/test", Map.of("path", "ok")).statusCode()).isEqualTo(400);
      assertThat(admin.post("/console/destinations/none/test", Map.of()).statusCode())
          .isEqualTo(404);
      checkRecord(broker);

      new Policies(broker)
          .destination(
              "no-key",
              "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"credential\":{\"source\":\"file\",\"name\":\"absent\"}}"
                  .formatted(stage.upstreamPort()))
          .await(broker);
      assertThat(admin.post("/console/destinations/no-key/test", Map.of()).body())
          .contains("<span class=\"tag failed\">failed</span>")
          .contains("<li class=\"stopped\"><span class=\"step\">credential</span>");
    }
  }

  private static void checkRecord(RunningBroker broker) throws Exception {
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT details->>'actor' FROM audit_record WHERE action = 'admin.test' AND"
                        + " destination = 'openai' AND details->>'path' = '/ok' AND"
                        + " details->>'method' = 'HEAD' AND NOT details ? 'at'")) {
      assertThat(rows.next()).isTrue();
      assertThat(rows.getString(1)).isEqualTo("somebody");
      assertThat(rows.next()).isFalse();
    }
  }

  @Test
  void newScope_isReachedByAButton_andNamesAreChecked() throws Exception {
    try (StopStage stage = new StopStage(folder);
        RunningBroker broker = RunningBroker.start(stage.settings())) {
      stage.writePolicy(broker, "good");
      Visitor admin = new Visitor(broker, Role.ADMIN);

      assertThat(admin.get(OPENAI).body())
          .contains("action=\"/console/destinations/openai/scopes\"");
      HttpResponse<String> editor = admin.get(OPENAI + "/scopes?scope=chat");
      assertThat(editor.statusCode()).isEqualTo(303);
      assertThat(editor.headers().firstValue("Location")).hasValue(OPENAI + "/scopes/chat");
      assertThat(admin.get(OPENAI + "/scopes/chat").body()).contains("Scope chat");
      assertThat(admin.get(OPENAI + "/scopes?scope=//evil.test").statusCode()).isEqualTo(400);
      assertThat(
              admin
                  .post(
                      OPENAI + "/scopes/chat",
                      Map.of(
                          "do",
                          "apply",
                          "version",
                          "0",
                          "spec",
                          "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/chat\"]}]}"))
                  .statusCode())
          .isEqualTo(303);
      assertThat(admin.get(OPENAI).body()).contains("Change chat");
    }
  }
}
