package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.TestAuthority;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A dry run plays what agents really did through the policy to come: real tokens, a real gateway, a
 * real upstream, and nothing of the plan in force. Invariant: D11.
 */
class ReplayTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private static Path folder;
  private static HttpsServer upstream;
  private static RunningBroker broker;
  private static AdminClient admin;
  private static String policy;

  @BeforeAll
  static void start() throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext(
        "/",
        exchange -> {
          exchange.getRequestBody().readAllBytes();
          exchange.sendResponseHeaders(204, -1);
          exchange.close();
        });
    upstream.start();
    Path files = Files.createDirectory(folder.resolve("files"));
    Files.writeString(files.resolve("key"), "sk-real-0123456789");
    broker =
        RunningBroker.start(
            Map.of(
                "valetkey.file-source.directory", files.toString(),
                "valetkey.gateway.private-origins", "127.0.0.0/8,::1/128",
                "valetkey.gateway.trusted-certificates", authority.writePem(folder).toString()));
    admin = AdminClient.bootstrap(broker);
    policy =
        """
        managedBy: models
        ---
        {kind: issuer, name: ci, spec: %s}
        ---
        {kind: agent, name: bot, spec: {identities: [{issuer: ci, subject: bot}]}}
        ---
        kind: destination
        name: openai
        spec: {kind: http, origin: "https://localhost:%d", credential: {source: file, name: key}}
        ---
        kind: scope
        name: openai/chat
        spec:
          allow:
            - {methods: [POST], paths: [/v1/chat/completions]}
            - {methods: [GET], paths: ["/v1/files/*"]}
        ---
        {kind: grant, name: bot-openai, spec: {agent: bot, destination: openai, scopes: [chat]}}
        """
            .formatted(ISSUER.spec(), upstream.getAddress().getPort());
    apply(policy, "");
    new Policies(broker).await(broker);
    String token = token();
    assertThat(send(token, "POST", "/v1/chat/completions").statusCode()).isEqualTo(204);
    assertThat(send(token, "GET", "/v1/files/one").statusCode()).isEqualTo(204);
    assertThat(send(token, "GET", "/v1/models").statusCode()).isEqualTo(403);
    assertThat(send(token(), "GET", "/v1/models").statusCode()).isEqualTo(403);
  }

  @AfterAll
  static void stop() {
    broker.close();
    upstream.stop(0);
  }

  private static JsonNode apply(String yaml, String query) {
    var answer = admin.send("POST", "/apply" + query, yaml, "Content-Type", "application/yaml");
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    return answer.json();
  }

  private static JsonNode replayed(String yaml) {
    return apply(yaml, "?dryRun=true&replayDays=2").get("replay");
  }

  private static String token() throws Exception {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=openai"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token="
            + URLEncoder.encode(ISSUER.token("bot", broker.url()), StandardCharsets.UTF_8);
    HttpResponse<String> answer =
        HTTP.send(
            HttpRequest.newBuilder(broker.api("/oauth2/token"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form))
                .build(),
            BodyHandlers.ofString());
    return JsonMapper.shared().readTree(answer.body()).get("access_token").stringValue();
  }

  private static HttpResponse<String> send(String token, String method, String path)
      throws Exception {
    return HTTP.send(
        HttpRequest.newBuilder(broker.gateway("/d/openai" + path))
            .header("Authorization", "Bearer " + token)
            .method(method, BodyPublishers.noBody())
            .build(),
        BodyHandlers.ofString());
  }

  @Test
  void samePolicy_decidesEverythingAlike() {
    JsonNode replay = replayed(policy);
    // Two tokens, two uses that were allowed, two that were refused.
    assertThat(replay.get("records").longValue()).isEqualTo(6);
    assertThat(replay.get("cutShort").booleanValue()).isFalse();
    assertThat(replay.at("/newlyRefused/total").intValue()).isZero();
    assertThat(replay.at("/newlyAllowed/total").intValue()).isZero();
  }

  @Test
  void ruleThatAsksForWhatIsNotOnRecord_isNotGuessedAbout() {
    JsonNode replay =
        replayed(
            policy.replace(
                "paths: [\"/v1/files/*\"]", "paths: [\"/v1/files/*\"], query: {page: \"*\"}"));
    assertThat(replay.get("undecided").longValue()).isEqualTo(1);
    assertThat(replay.at("/newlyRefused/total").intValue()).isZero();
    assertThat(replay.at("/newlyAllowed/total").intValue()).isZero();
  }

  @Test
  void ruleThatGoes_isSaidToRefuseWhatItAllowed() {
    JsonNode refused = replayed(policy.replace("/v1/files/*", "/v1/other/*")).get("newlyRefused");
    assertThat(refused.get("total").intValue()).isEqualTo(1);
    JsonNode item = refused.at("/items/0");
    assertThat(item.get("agent").stringValue()).isEqualTo("bot");
    assertThat(item.get("method").stringValue()).isEqualTo("GET");
    assertThat(item.get("path").stringValue()).isEqualTo("/v1/files/one");
    assertThat(item.get("reason").stringValue()).isEqualTo("insufficient_scope");
    assertThat(item.get("count").intValue()).isEqualTo(1);
  }

  @Test
  void ruleThatComes_isSaidToAllowWhatWasRefused() {
    JsonNode allowed =
        replayed(policy.replace("paths: [\"/v1/files/*\"]", "paths: [\"/v1/files/*\", /v1/models]"))
            .get("newlyAllowed");
    assertThat(allowed.get("total").intValue()).isEqualTo(1);
    assertThat(allowed.at("/items/0/path").stringValue()).isEqualTo("/v1/models");
    assertThat(allowed.at("/items/0/count").intValue()).isEqualTo(2);
  }

  @Test
  void scopeThatIsGrantedBesides_countsForTokensThatHadEverything() {
    String more =
        policy.replace("scopes: [chat]", "scopes: [chat, models]")
            + """
            ---
            {kind: scope, name: openai/models, spec: {allow: [{methods: [GET], paths: [/v1/models]}]}}
            """;
    assertThat(replayed(more).at("/newlyAllowed/items/0/path").stringValue())
        .isEqualTo("/v1/models");
  }

  @Test
  void grantThatGoes_refusesTheTokensToo() {
    JsonNode refused =
        replayed(policy.replaceFirst("(?s)---\n\\{kind: grant.*", "")).get("newlyRefused");
    assertThat(refused.get("total").intValue()).isEqualTo(3);
    assertThat(refused.toString()).contains("token.issue", "not_granted", "/v1/chat/completions");
    assertThat(admin.get("/grants/bot-openai").status()).isEqualTo(200);
  }

  @Test
  void trailThatIsLong_isLookedAtInBoundedTime_andThatIsSaid() throws Exception {
    try (RunningBroker other = RunningBroker.start(Map.of());
        Connection connection = other.database();
        var statement = connection.createStatement()) {
      AdminClient client = AdminClient.bootstrap(other);
      statement.executeUpdate(
          "INSERT INTO audit_record (time, writer, seq, decision_id, action, outcome, agent, issuer,"
              + " subject, destination, scopes, jti, details)"
              + " SELECT now() - n * interval '1 millisecond', 0, n, gen_random_uuid(),"
              + " 'gateway.request', 'granted', 'bot', 'ci', 'bot', 'openai', 'chat', 'j',"
              + " jsonb_build_object('method', 'GET', 'path', '/v1/files/' || n % 30000, 'rule', 'r')"
              + " FROM generate_series(1, 200000) n");
      long begun = System.nanoTime();
      JsonNode replay =
          client
              .send(
                  "POST",
                  "/apply?dryRun=true",
                  policy.replaceFirst("https://localhost:[0-9]+", "https://api.openai.com"),
                  "Content-Type",
                  "application/yaml")
              .json()
              .get("replay");
      Duration took = Duration.ofNanos(System.nanoTime() - begun);
      System.out.printf("replay over 200000 records took %s: %s%n", took, replay);
      assertThat(took).isLessThan(Duration.ofSeconds(8));
      assertThat(replay.get("cutShort").booleanValue()).isTrue();
      assertThat(replay.get("distinct").intValue()).isLessThanOrEqualTo(20_001);
      assertThat(replay.at("/newlyAllowed/items").size()).isLessThanOrEqualTo(200);
    }
  }
}
