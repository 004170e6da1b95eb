package io.valetkey.broker.proofs;

import static io.valetkey.broker.proofs.ApprovalStage.error;
import static io.valetkey.broker.proofs.ApprovalStage.id;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Nobody decides about a request of their own subject, of whichever issuer. Invariant: H5. */
@Timeout(120)
class OwnApprovalTest {

  private static final String AUDIENCE = "valetkey-admin";

  @TempDir private static Path folder;
  private static ApprovalStage stage;
  private static HttpServer provider;

  /** Its admins are of the agents' own issuer. */
  private static RunningBroker broker;

  private static final TestIssuer PEOPLE = new TestIssuer("ci");

  @BeforeAll
  static void start() throws Exception {
    stage = new ApprovalStage(folder);
    provider = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    provider.start();
    broker = stage.start(oidc());
    new Policies(broker)
        .agent("bootstrap", "ci", "bootstrap", "")
        .grant("bootstrap-openai", "bootstrap", "openai", List.of("all"))
        .await(broker);
    stage.needApproval(broker, "{}");
  }

  @AfterAll
  static void stop() {
    broker.close();
    provider.stop(0);
    stage.close();
  }

  private static String[] oidc() {
    JsonNode spec = JsonMapper.shared().readTree(PEOPLE.spec());
    byte[] keys = spec.at("/keys/jwks").toString().getBytes(StandardCharsets.UTF_8);
    provider.createContext(
        "/keys",
        exchange -> {
          try (exchange) {
            exchange.sendResponseHeaders(200, keys.length);
            exchange.getResponseBody().write(keys);
          }
        });
    return new String[] {
      "valetkey.admin.oidc.issuer",
      spec.get("issuer").asString(),
      "valetkey.admin.oidc.jwks-uri",
      "http://127.0.0.1:" + provider.getAddress().getPort() + "/keys",
      "valetkey.admin.oidc.audience",
      AUDIENCE,
      "valetkey.admin.oidc.roles-claim",
      "roles"
    };
  }

  /** What an approver of this name is answered. */
  private static HttpResponse<String> decide(String subject, String id, String what)
      throws Exception {
    String token =
        PEOPLE.token(subject, AUDIENCE, claims -> claims.claim("roles", List.of("approver")));
    String hash =
        StopStage.admin(broker, "GET", "/approvals/" + id, null).get("requestHash").asString();
    return stage.client.send(
        HttpRequest.newBuilder(broker.api("/admin/v1/approvals/" + id + "/" + what))
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json")
            .POST(
                BodyPublishers.ofString(
                    "{\"requestHash\":\"%s\",\"reason\":\"a test\"}".formatted(hash)))
            .build(),
        BodyHandlers.ofString());
  }

  private static HttpRequest asked(String agent, String body) throws Exception {
    return stage.pay(broker, stage.stage.token(broker, agent), body);
  }

  @Test
  void ownRequest_isDecidedBySomebodyElseOnly() throws Exception {
    HttpRequest request = asked("bot", "own");
    String id = id(stage.ask(request));
    for (String what : List.of("approve", "deny")) {
      HttpResponse<String> own = decide("bot", id, what);
      assertThat(own.statusCode()).as(own.body()).isEqualTo(403);
    }
    assertThat(error(stage.send(request))).isEqualTo("approval_required");
    assertThat(stage.reached).noneMatch(sent -> sent.endsWith("own"));
    assertThat(decide("somebody", id, "approve").statusCode()).isEqualTo(200);
    assertThat(stage.send(request).statusCode()).isEqualTo(200);
  }

  @Test
  void bootstrapToken_decidesAboutNoAgentOfItsName() throws Exception {
    String id = id(stage.ask(asked("bootstrap", "unknown")));
    String hash =
        StopStage.admin(broker, "GET", "/approvals/" + id, null).get("requestHash").asString();
    assertThat(ApprovalStage.decide(broker, id, "approve", hash).statusCode()).isEqualTo(403);
    assertThat(ApprovalStage.decide(broker, id, "deny", hash).statusCode()).isEqualTo(403);
  }
}
