package io.valetkey.broker.proofs;

import static io.valetkey.broker.proofs.ApprovalStage.actions;
import static io.valetkey.broker.proofs.ApprovalStage.approve;
import static io.valetkey.broker.proofs.ApprovalStage.error;
import static io.valetkey.broker.proofs.ApprovalStage.id;
import static io.valetkey.broker.proofs.ApprovalStage.pending;
import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.console.Visitor;
import io.valetkey.broker.control.Role;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Requests are approved and denied in the console, and a real gateway acts upon it. */
class ApprovalPageTest {

  private static final String PAGE = "/console/approvals";
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

  private static Map<String, String> form(JsonNode waiting, String reason) {
    return Map.of("request_hash", waiting.get("requestHash").asString(), "reason", reason);
  }

  private static String state(RunningBroker broker, String id) throws Exception {
    return StopStage.admin(broker, "GET", "/approvals/" + id, null).get("state").asString();
  }

  @Test
  void approval_inTheConsole_letsTheShownRequestPass() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY, "X-Account", "4711");
    String id = id(stage.ask(request));
    JsonNode waiting = pending(broker);
    Visitor approver = new Visitor(broker, Role.APPROVER);
    assertThat(approver.get(PAGE).body()).contains(PAGE + "/" + id, "POST https://", "in 1");
    String shown = approver.get(PAGE + "/" + id).body();
    assertThat(shown)
        .contains(
            waiting.get("url").asString(), waiting.get("expiresAt").asString().substring(11, 19))
        .contains("x-account", "4711", BODY, BODY.length() + " bytes")
        .contains("ci · bot", "by the grant bot-openai")
        .contains("value=\"" + waiting.get("requestHash").asString() + "\"")
        .doesNotContain(token, StopStage.KEY);

    HttpResponse<String> answer =
        approver.post(PAGE + "/" + id + "/approve", form(waiting, "invoice 4711"));
    assertThat(answer.statusCode()).isEqualTo(303);
    assertThat(approver.get(PAGE + "/" + id).body())
        .contains(">approved<", "somebody", "invoice 4711", BODY)
        .doesNotContain("request_hash");
    assertThat(stage.send(request).statusCode()).isEqualTo(200);
    assertThat(stage.reached).containsExactly("POST /pay " + BODY);
    assertThat(approver.get(PAGE + "/" + id).body())
        .contains(">used<", "not kept")
        .doesNotContain(BODY);
    assertThat(approver.get(PAGE).body()).contains("No request waits", ">used<");
    assertThat(actions(broker)).containsEntry("approval.approve granted", 1);
  }

  @Test
  void denial_inTheConsole_isFinal() throws Exception {
    HttpRequest request = stage.pay(broker, token, BODY);
    String id = id(stage.ask(request));
    Visitor admin = new Visitor(broker, Role.ADMIN);
    HttpResponse<String> denied =
        admin.post(PAGE + "/" + id + "/deny", form(pending(broker), "not today"));
    assertThat(denied.statusCode()).isEqualTo(303);
    assertThat(error(stage.send(request))).isEqualTo("approval_denied");
    assertThat(admin.get(PAGE).body()).contains(">denied<");
    assertThat(stage.reached).isEmpty();
  }

  @Test
  void decision_aboutSomethingElseThanWhatIsThere_isNotTaken() throws Exception {
    String id = id(stage.ask(stage.pay(broker, token, BODY)));
    JsonNode waiting = pending(broker);
    Visitor approver = new Visitor(broker, Role.APPROVER);
    String address = PAGE + "/" + id + "/approve";

    HttpResponse<String> other =
        approver.post(address, Map.of("request_hash", "0".repeat(64), "reason", "r"));
    assertThat(other.statusCode()).isEqualTo(409);
    assertThat(other.body())
        .contains("409: your decision was not taken", "that of another request", BODY);
    for (String wrong : new String[] {"", "x", "0".repeat(63), "A".repeat(64)}) {
      assertThat(approver.post(address, Map.of("request_hash", wrong, "reason", "r")).statusCode())
          .as(wrong)
          .isEqualTo(400);
    }
    assertThat(approver.post(address, form(waiting, " ")).body()).contains("400:", "The reason");
    assertThat(approver.post(address, form(waiting, "two\nlines")).statusCode()).isEqualTo(400);
    assertThat(approver.post(PAGE + "/no-id/approve", form(waiting, "r")).statusCode())
        .isEqualTo(404);
    assertThat(state(broker, id)).isEqualTo("pending");

    approve(broker, id);
    HttpResponse<String> late = approver.post(PAGE + "/" + id + "/deny", form(waiting, "r"));
    assertThat(late.statusCode()).isEqualTo(409);
    assertThat(late.body()).contains("it is approved", ">approved<");
    assertThat(state(broker, id)).isEqualTo("approved");
  }

  @Test
  void decision_whenTheScopeWasChangedMeanwhile_isNotTaken() throws Exception {
    String id = id(stage.ask(stage.pay(broker, token, BODY)));
    JsonNode waiting = pending(broker);
    Visitor approver = new Visitor(broker, Role.APPROVER);
    stage.needApproval(broker, "{\"validFor\":\"30m\"}");
    HttpResponse<String> answer = approver.post(PAGE + "/" + id + "/approve", form(waiting, "r"));
    assertThat(answer.statusCode()).isEqualTo(409);
    assertThat(answer.body())
        .contains("it is expired", "Nobody decided")
        .doesNotContain("request_hash");
  }

  @Test
  void whoeverMayNotDecide_seesTheRequestAndNoButtons() throws Exception {
    String id = id(stage.ask(stage.pay(broker, token, BODY)));
    JsonNode waiting = pending(broker);
    for (Role role : new Role[] {Role.VIEWER, Role.OPERATOR}) {
      Visitor visitor = new Visitor(broker, role);
      assertThat(visitor.get(PAGE + "/" + id).body())
          .contains(BODY, "an approver can")
          .doesNotContain("request_hash", "formaction");
      for (String what : new String[] {"/approve", "/deny"}) {
        assertThat(visitor.post(PAGE + "/" + id + what, form(waiting, "r")).statusCode())
            .as("%s %s", role, what)
            .isEqualTo(403);
      }
    }
    Visitor self = new Visitor(broker, Role.ADMIN, "bot");
    assertThat(self.get(PAGE + "/" + id).body())
        .contains("This request is your own")
        .doesNotContain("request_hash", "formaction");
    for (String what : new String[] {"/approve", "/deny"}) {
      HttpResponse<String> own = self.post(PAGE + "/" + id + what, form(waiting, "r"));
      assertThat(own.statusCode()).as(what).isEqualTo(403);
      assertThat(own.body()).contains("Nobody decides about their own request");
    }
    assertThat(state(broker, id)).isEqualTo("pending");
    assertThat(actions(broker))
        .doesNotContainKeys("approval.approve granted", "approval.deny granted");
  }

  @Test
  void list_goesOnWithThoseThatWereAskedForBefore() throws Exception {
    String first = id(stage.ask(stage.pay(broker, token, "first")));
    String second = id(stage.ask(stage.pay(broker, token, "second")));
    Visitor viewer = new Visitor(broker, Role.VIEWER);
    assertThat(viewer.get(PAGE).body()).contains(first, second);
    assertThat(viewer.get(PAGE + "?before=" + second).body())
        .contains(first)
        .doesNotContain(second);
    assertThat(viewer.get(PAGE + "?before=" + first).body()).contains("No request waits");
    assertThat(viewer.get(PAGE + "?before=x").statusCode()).isEqualTo(404);
  }

  @Test
  void body_isShownAsWhatItIs() throws Exception {
    Visitor approver = new Visitor(broker, Role.APPROVER);
    String hidden = "to=\u202Ebob\u200B</code><script>alert(1)</script>";
    String text = id(stage.ask(stage.pay(broker, token, hidden)));
    assertThat(approver.get(PAGE + "/" + text).body())
        .contains("to=⟨U+202E⟩bob⟨U+200B⟩&lt;/code&gt;&lt;script&gt;")
        .doesNotContain("<script>alert");
    HttpRequest binary =
        stage
            .request(broker, token, "/pay")
            .POST(BodyPublishers.ofByteArray(new byte[] {(byte) 0xff, 0, 1}))
            .build();
    assertThat(approver.get(PAGE + "/" + id(stage.ask(binary))).body())
        .contains("/wAB", "as Base64", "3 bytes");
    HttpRequest none = stage.request(broker, token, "/pay?x=%3Cb%3E").GET().build();
    assertThat(approver.get(PAGE + "/" + id(stage.ask(none))).body())
        .contains("/pay?x=%3Cb%3E", "It has no body");
  }
}
