package io.valetkey.broker.admin;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.broker.console.Visitor;
import io.valetkey.broker.control.Role;
import io.valetkey.realparts.TestAuthority;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Conditions of rules on the whole way: written by the admin API, asked by a real gateway, seen at
 * a real upstream, explained and replayed. Invariants: D15, D16, D17.
 */
class ConditionsTest {

  private static final HttpClient HTTP = HttpClient.newHttpClient();
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final String JSON = "application/json";

  private static final String SCOPE =
      """
      {"allow": [
        {"methods": ["GET"], "paths": ["/items"],
         "query": {"page": "*", "state": ["open", "all of them"]}},
        {"methods": ["POST"], "paths": ["/upload"],
         "contentTypes": ["text/plain", "application/json"], "maxBody": "1KiB"},
        {"methods": ["POST"], "paths": ["/chat"],
         "when": "body.model in ['small', 'medium'] && body.n <= 4"},
        {"methods": ["POST"], "paths": ["/short"], "when": "body.n == 1",
         "maxConditionBody": "64B"},
        {"methods": ["GET"], "paths": ["/mine/*"],
         "when": "request.path == '/mine/' + agent.subject && request.headers['x-team'] == 'blue'"},
        {"methods": ["POST"], "paths": ["/either"], "when": "body.n == 1"},
        {"methods": ["POST"], "paths": ["/either"], "when": "request.query.dry == 'yes'"},
        {"methods": ["POST"], "paths": ["/mcp"],
         "jsonRpc": {"methods": ["initialize", "tools/list", "tools/call"], "tools": ["search"]}},
        {"methods": ["GET", "DELETE"], "paths": ["/mcp"]}
      ]}
      """;

  /** What the upstream got. */
  private record Seen(String method, URI uri, byte[] body) {}

  private static final List<Seen> SEEN = new CopyOnWriteArrayList<>();
  @TempDir private static Path folder;
  private static HttpsServer upstream;
  private static RunningBroker broker;
  private static AdminClient admin;
  private static String token;

  @BeforeAll
  static void start() throws Exception {
    TestAuthority authority = TestAuthority.create("upstreams");
    upstream = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    upstream.setHttpsConfigurator(
        new HttpsConfigurator(authority.server("localhost").serverContext()));
    upstream.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    upstream.createContext("/", ConditionsTest::serve);
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
    put("issuers/ci", ISSUER.spec());
    put("agents/bot", "{\"identities\":[{\"issuer\":\"ci\",\"subject\":\"bot\"}]}");
    put(
        "destinations/up",
        "{\"kind\":\"http\",\"origin\":\"https://localhost:%d\",\"credential\":{\"source\":\"file\",\"name\":\"key\"}}"
            .formatted(upstream.getAddress().getPort()));
    put("destinations/up/scopes/work", SCOPE);
    put("grants/bot-up", "{\"agent\":\"bot\",\"destination\":\"up\",\"scopes\":[\"work\"]}");
    new Policies(broker).await(broker);
    token = token();
  }

  @AfterAll
  static void stop() {
    broker.close();
    upstream.stop(0);
  }

  private static void put(String path, String document) {
    var answer = admin.put("/" + path, document);
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(201);
  }

  private static void serve(HttpExchange exchange) throws IOException {
    byte[] body = exchange.getRequestBody().readAllBytes();
    SEEN.add(new Seen(exchange.getRequestMethod(), exchange.getRequestURI(), body));
    exchange.sendResponseHeaders(204, -1);
    exchange.close();
  }

  private static String token() throws Exception {
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=up"
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

  private static HttpResponse<String> send(
      String method, String target, BodyPublisher body, String... fields) throws Exception {
    var request =
        HttpRequest.newBuilder(broker.gateway("/d/up" + target))
            .header("Authorization", "Bearer " + token)
            .method(method, body);
    for (int i = 0; i < fields.length; i += 2) {
      request.header(fields[i], fields[i + 1]);
    }
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  private static HttpResponse<String> post(String target, String body) throws Exception {
    return send("POST", target, BodyPublishers.ofString(body), "Content-Type", JSON);
  }

  private static String decision(HttpResponse<String> answer) {
    return JsonMapper.shared().readTree(answer.body()).get("decision_id").stringValue();
  }

  /** The true reason, as the audit trail has it. */
  private static String reason(HttpResponse<String> answer) {
    return admin.get("/decisions/" + decision(answer)).json().get("reason").stringValue();
  }

  private static void assertRefused(HttpResponse<String> answer, int status, String reason) {
    assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
    if (status == 403) {
      assertThat(answer.headers().firstValue("Valetkey-Error")).contains("insufficient_scope");
    }
    assertThat(reason(answer)).isEqualTo(reason);
  }

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      textBlock =
          """
          -                          | 204 | -
          page=1                     | 204 | -
          page=a+b                   | 204 | -
          page=%2e%2E                | 204 | -
          state=open&page=2          | 204 | -
          state=all%20of%20them      | 204 | -
          p%61ge=3                   | 204 | -
          state=all+of+them          | 403 | condition_failed
          state=closed               | 403 | condition_false
          state=OPEN                 | 403 | condition_false
          State=open                 | 403 | condition_false
          state                      | 403 | condition_false
          state=open&admin=1         | 403 | condition_false
          state%5B%5D=open           | 403 | condition_false
          state=open&state=closed    | 403 | condition_failed
          state=open&st%61te=closed  | 403 | condition_failed
          page=1;state=closed        | 403 | condition_failed
          page=%00                   | 403 | condition_failed
          page=%C0%AF                | 403 | condition_failed
          page=%ff                   | 403 | condition_failed
          page=1&&state=open         | 403 | condition_failed
          page=1&                    | 403 | condition_failed
          =1                         | 403 | condition_failed
          """,
      delimiter = '|')
  void request_whoseRuleNamesParameters_hasNoOthers(String query, int status, String reason)
      throws Exception {
    int before = SEEN.size();

    var answer =
        send("GET", "/items" + (query == null ? "" : "?" + query), BodyPublishers.noBody());

    if (status == 204) {
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(204);
      assertThat(SEEN.getLast().uri().getRawQuery()).isEqualTo(query);
    } else {
      assertRefused(answer, status, reason);
      assertThat(SEEN).hasSize(before);
    }
  }

  /** A key of the caller's own is taken out before, so it is not what the rule judges. */
  @Test
  void request_isJudgedAsItIsSent() throws Exception {
    var answer = send("GET", "/items?page=1&api_key=x", BodyPublishers.noBody());
    assertThat(answer.statusCode()).isEqualTo(204);
    assertThat(SEEN.getLast().uri().getRawQuery()).isEqualTo("page=1");
  }

  @Test
  void body_hasOneOfTheContentTypes() throws Exception {
    BodyPublisher body = BodyPublishers.ofString("hello");
    assertThat(send("POST", "/upload", body, "Content-Type", "text/plain").statusCode())
        .isEqualTo(204);
    assertThat(
            send("POST", "/upload", body, "Content-Type", "Text/Plain; charset=utf-8").statusCode())
        .isEqualTo(204);
    assertThat(send("POST", "/upload", BodyPublishers.noBody()).statusCode()).isEqualTo(204);
    assertRefused(send("POST", "/upload", body), 403, "condition_false");
    assertRefused(
        send("POST", "/upload", body, "Content-Type", "text/html"), 403, "condition_false");
    assertRefused(
        send("POST", "/upload", body, "Content-Type", "text/plain, text/html"),
        403,
        "condition_false");
    assertRefused(
        send("POST", "/upload", body, "Content-Type", "text/plain", "Content-Type", "text/plain"),
        403,
        "condition_false");
  }

  @Test
  void body_isNoLargerThanItsRuleAllows() throws Exception {
    String fits = "x".repeat(1024);
    String more = fits + "x";
    var ok = send("POST", "/upload", BodyPublishers.ofString(fits), "Content-Type", "text/plain");
    assertThat(ok.statusCode()).isEqualTo(204);
    int before = SEEN.size();
    assertRefused(
        send("POST", "/upload", BodyPublishers.ofString(more), "Content-Type", "text/plain"),
        413,
        "content_too_large");
    assertRefused(
        send("POST", "/upload", streamed(more), "Content-Type", "text/plain"),
        413,
        "content_too_large");
    assertThat(SEEN).hasSize(before);
  }

  private static BodyPublisher streamed(String body) {
    return BodyPublishers.ofInputStream(
        () -> new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      nullValues = "-",
      textBlock =
          """
          {"model":"small","n":1}                          | 204 | -
          { "n" : 4.0,  "model":"med\\u0069um" }           | 204 | -
          {"model":"large","n":1}                          | 403 | condition_false
          {"model":"small","n":5}                          | 403 | condition_false
          {"model":"small","n":4.5}                        | 403 | condition_false
          {"model":"small"}                                | 403 | condition_failed
          {"model":"small","n":"1"}                        | 403 | condition_failed
          {"model":"small","n":null}                       | 403 | condition_failed
          {"model":["small"],"n":1}                        | 403 | condition_false
          [{"model":"small","n":1}]                        | 403 | condition_failed
          "small"                                          | 403 | condition_failed
          {"model":"large","model":"small","n":1}          | 400 | invalid_json
          {"model":"small","Model":"large","n":1}          | 400 | invalid_json
          {"model":"small","n":1} {"model":"large"}        | 400 | invalid_json
          {"model":"small","n":1}]                         | 400 | invalid_json
          {"model":"small","n":1,}                         | 400 | invalid_json
          {'model':'small','n':1}                          | 400 | invalid_json
          {"model":"small","n":1,"x":NaN}                  | 400 | invalid_json
          {"model":"small","n":1,"x":9007199254740993}     | 400 | invalid_json
          {"model":"small","n":4.0000000000000000001}      | 400 | invalid_json
          {"model":"small","n":1,"x":"\\ud800"}            | 400 | invalid_json
          {"model":"small","n":1,"x\\u0000":1}             | 400 | invalid_json
          model=small                                      | 400 | invalid_json
          """,
      delimiter = '|')
  void body_isWhatTheConditionAsksFor(String body, int status, String reason) throws Exception {
    for (BodyPublisher sent : List.of(BodyPublishers.ofString(body), streamed(body))) {
      int before = SEEN.size();

      var answer = send("POST", "/chat", sent, "Content-Type", JSON);

      if (status == 204) {
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(204);
        assertThat(SEEN.getLast().body()).isEqualTo(body.getBytes(StandardCharsets.UTF_8));
      } else {
        assertRefused(answer, status, reason);
        assertThat(SEEN).hasSize(before);
      }
    }
  }

  @Test
  void body_thatIsNotAnnouncedAsPlainJson_isRefused() throws Exception {
    String body = "{\"model\":\"small\",\"n\":1}";
    BodyPublisher sent = BodyPublishers.ofString(body);
    int before = SEEN.size();
    assertRefused(send("POST", "/chat", sent), 403, "condition_failed");
    assertRefused(
        send("POST", "/chat", sent, "Content-Type", "application/x-www-form-urlencoded"),
        403,
        "condition_failed");
    assertRefused(
        send("POST", "/chat", sent, "Content-Type", JSON + "; charset=utf-16"),
        403,
        "condition_failed");
    assertRefused(
        send("POST", "/chat", sent, "Content-Type", JSON, "Content-Encoding", "gzip"),
        403,
        "condition_failed");
    assertRefused(
        send("POST", "/chat", BodyPublishers.noBody(), "Content-Type", JSON),
        403,
        "condition_failed");
    assertRefused(post("/chat", "[".repeat(100) + "]".repeat(100)), 400, "invalid_json");
    assertRefused(post("/chat", "\uFEFF" + body), 400, "invalid_json");
    byte[] latin =
        "{\"model\":\"small\",\"n\":1,\"x\":\"é\"}".getBytes(StandardCharsets.ISO_8859_1);
    assertRefused(
        send("POST", "/chat", BodyPublishers.ofByteArray(latin), "Content-Type", JSON),
        400,
        "invalid_json");
    assertThat(SEEN).hasSize(before);
    assertThat(
            send(
                    "POST",
                    "/chat",
                    sent,
                    "Content-Type",
                    "application/merge-patch+json; charset=UTF-8")
                .statusCode())
        .isEqualTo(204);
  }

  @Test
  void body_thatIsLargerThanTheConditionLooksAt_isRefused() throws Exception {
    String fits = "{\"n\":1,\"x\":\"%s\"}".formatted("x".repeat(50));
    String more = "{\"n\":1,\"x\":\"%s\"}".formatted("x".repeat(51));
    assertThat(post("/short", fits).statusCode()).isEqualTo(204);
    int before = SEEN.size();
    assertRefused(post("/short", more), 413, "content_too_large");
    assertRefused(
        send("POST", "/short", streamed(more), "Content-Type", JSON), 413, "content_too_large");
    assertThat(SEEN).hasSize(before);
  }

  @Test
  void condition_seesAgentPathAndHeaders() throws Exception {
    BodyPublisher none = BodyPublishers.noBody();
    assertThat(send("GET", "/mine/bot", none, "X-Team", "blue").statusCode()).isEqualTo(204);
    assertRefused(send("GET", "/mine/other", none, "X-Team", "blue"), 403, "condition_false");
    assertRefused(send("GET", "/mine/bot", none, "X-Team", "red"), 403, "condition_false");
    assertRefused(send("GET", "/mine/bot", none), 403, "condition_failed");
    assertRefused(
        send("GET", "/mine/bot", none, "X-Team", "blue", "x-team", "red"), 403, "condition_failed");
  }

  @Test
  void condition_doesNotSeeAHeaderThatDoesNotGoUpstream() throws Exception {
    URI gateway = broker.gateway("/d/up/mine/bot");
    for (String field : List.of("", "Connection: close, X-Team\r\n")) {
      try (Socket socket = new Socket(gateway.getHost(), gateway.getPort())) {
        socket.setSoTimeout(20_000);
        String head =
            "GET /d/up/mine/bot HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer %s\r\nX-Team: blue\r\n%s\r\n"
                .formatted(token, field);
        socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
        byte[] answer = socket.getInputStream().readNBytes("HTTP/1.1 204".length());
        assertThat(new String(answer, StandardCharsets.US_ASCII))
            .isEqualTo(field.isEmpty() ? "HTTP/1.1 204" : "HTTP/1.1 403");
      }
    }
  }

  @Test
  void request_isAllowedByAnyRuleWhoseConditionsItMeets() throws Exception {
    assertThat(post("/either", "{\"n\":1}").statusCode()).isEqualTo(204);
    assertThat(post("/either?dry=yes", "no json").statusCode()).isEqualTo(204);
    assertRefused(post("/either?dry=no", "{\"n\":2}"), 403, "condition_false");
  }

  @Test
  void rule_thatDecided_isOnRecordWithItsPlaceInTheScope() throws Exception {
    token = token();
    assertThat(post("/either", "{\"n\":1}").statusCode()).isEqualTo(204);
    assertThat(post("/either?dry=yes", "{\"n\":2}").statusCode()).isEqualTo(204);
    assertThat(admin.get("/audit?agent=bot&limit=10").json().get("items"))
        .extracting(item -> item.at("/details/rule").asString(""))
        .containsSubsequence("work:/either#6", "work:/either#5");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      nullValues = "-",
      textBlock =
          """
          {"jsonrpc":"2.0","id":1,"method":"tools/list"}                                             | 204 | -
          {"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"search","arguments":{"q":"x"}}} | 204 | -
          {"jsonrpc":"2.0","id":1,"method":"tools\\/l\\u0069st"}                                     | 204 | -
          [{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","method":"initialize"}]   | 204 | -
          {"jsonrpc":"2.0","id":1,"method":"resources/read"}                                         | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete"}}                  | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"SEARCH"}}                  | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/call"}                                             | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":["search"]}                         | 403 | condition_failed
          {"jsonrpc":"2.0","id":1,"method":"Tools/List"}                                             | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/list\\u200b"}                                      | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":["tools/list"]}                                           | 403 | condition_false
          {"jsonrpc":"2.0","id":1,"method":"tools/list","method":"resources/read"}                   | 400 | invalid_json
          {"jsonrpc":"2.0","id":1,"method":"tools/list","m\\u0065thod":"resources/read"}             | 400 | invalid_json
          {"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"resources/read"}                   | 400 | invalid_json
          {"jsonrpc":"2.0","id":1,"Method":"resources/read","result":{}}                             | 403 | condition_failed
          {"jsonrpc":"2.0","id":1,"method":"tools/list","METHOD ":"resources/read"}                  | 403 | condition_failed
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","Name":"delete"}}  | 400 | invalid_json
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"},"parames":{}}     | 403 | condition_failed
          {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"},"param\\u017f":{"name":"delete"}} | 400 | invalid_json
          {"jsonrpc":"2.0","id":1,"method":"tools/list"}{"jsonrpc":"2.0","id":2,"method":"x"}        | 400 | invalid_json
          [{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","id":2,"method":"x"}]     | 403 | condition_false
          [[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]]                                         | 403 | condition_failed
          [{"jsonrpc":"2.0","id":1,"method":"tools/list"},1]                                         | 403 | condition_failed
          []                                                                                         | 403 | condition_failed
          {"jsonrpc":"1.0","id":1,"method":"tools/list"}                                             | 403 | condition_failed
          {"id":1,"method":"tools/list"}                                                             | 403 | condition_failed
          {"jsonrpc":"2.0","id":{},"method":"tools/list"}                                            | 403 | condition_failed
          {"jsonrpc":"2.0","id":1,"result":{}}                                                       | 403 | condition_false
          """,
      delimiter = '|')
  void calls_areThoseThatTheRuleNames(String body, int status, String reason) throws Exception {
    int before = SEEN.size();

    var answer = post("/mcp", body);

    if (status == 204) {
      assertThat(answer.statusCode()).as(answer.body()).isEqualTo(204);
      assertThat(SEEN.getLast().body()).isEqualTo(body.getBytes(StandardCharsets.UTF_8));
    } else {
      assertRefused(answer, status, reason);
      assertThat(SEEN).hasSize(before);
    }
  }

  @Test
  void streamsOfMcp_haveNoBodyAndARuleOfTheirOwn() throws Exception {
    assertThat(send("GET", "/mcp", BodyPublishers.noBody()).statusCode()).isEqualTo(204);
    assertThat(send("DELETE", "/mcp", BodyPublishers.noBody()).statusCode()).isEqualTo(204);
    assertRefused(send("POST", "/mcp", BodyPublishers.noBody()), 403, "condition_failed");
  }

  @Test
  void stop_endsARequestWhoseBodyIsHeld() throws Exception {
    put("agents/slow", "{\"identities\":[{\"issuer\":\"ci\",\"subject\":\"slow\"}]}");
    put("grants/slow-up", "{\"agent\":\"slow\",\"destination\":\"up\",\"scopes\":[\"work\"]}");
    new Policies(broker).await(broker);
    String form =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=up"
            + "&subject_token_type=urn:ietf:params:oauth:token-type:jwt&subject_token="
            + ISSUER.token("slow", broker.url());
    HttpResponse<String> own =
        HTTP.send(
            HttpRequest.newBuilder(broker.api("/oauth2/token"))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(form))
                .build(),
            BodyHandlers.ofString());
    String slow = JsonMapper.shared().readTree(own.body()).get("access_token").stringValue();
    int before = SEEN.size();
    URI gateway = broker.gateway("/d/up/chat");
    try (Socket socket = new Socket(gateway.getHost(), gateway.getPort())) {
      socket.setSoTimeout(20_000);
      String head =
          "POST /d/up/chat HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 23\r\nExpect: 100-continue\r\n\r\n"
              .formatted(slow, JSON);
      socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
      byte[] go = socket.getInputStream().readNBytes("HTTP/1.1 100 Continue\r\n\r\n".length());
      assertThat(new String(go, StandardCharsets.US_ASCII)).startsWith("HTTP/1.1 100");
      socket.getOutputStream().write("{\"model\"".getBytes(StandardCharsets.US_ASCII));

      var ordered =
          admin.send("POST", "/stops", "{\"target\":{\"agent\":\"slow\"},\"reason\":\"a test\"}");

      assertThat(ordered.status()).isBetween(200, 202);
      byte[] answer = socket.getInputStream().readAllBytes();
      assertThat(new String(answer, StandardCharsets.US_ASCII)).startsWith("HTTP/1.1 401");
    }
    assertThat(SEEN).hasSize(before);
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      nullValues = "-",
      textBlock =
          """
          GET  | /items    | -                                              | undecidable
          GET  | /items    | "query":""                                     | granted
          GET  | /items    | "query":"state=open"                           | granted
          GET  | /items    | "query":"state=closed"                         | condition_false
          GET  | /items    | "query":"a=1&a=2"                              | condition_failed
          POST | /upload   | -                                              | undecidable
          POST | /upload   | "headers":{"Content-Type":"text/plain"}        | granted
          POST | /upload   | "headers":{"Content-Type":"text/html"}         | condition_false
          POST | /chat     | -                                              | undecidable
          POST | /chat     | "headers":{"content-type":"application/json"}  | undecidable
          POST | /chat     | "headers":{"content-type":"text/plain"}        | condition_failed
          POST | /chat     | "body":{"model":"small","n":1}                 | granted
          POST | /chat     | "body":{"model":"large","n":1}                 | condition_false
          POST | /chat     | "body":{"n":1}                                 | condition_failed
          GET  | /mine/bot | "headers":{"X-Team":"blue"}                    | undecidable
          POST | /either   | "query":"dry=no"                               | undecidable
          POST | /either   | "query":"dry=yes"                              | granted
          POST | /mcp      | "body":{"jsonrpc":"2.0","method":"x"}          | condition_false
          DELETE | /mcp    | -                                              | granted
          """,
      delimiter = '|')
  void explanation_agreesWithTheDecisionAndClaimsNothingThatItCannotKnow(
      String method, String path, String more, String expected) {
    var answer =
        admin.send(
            "POST",
            "/decisions/explain",
            "{\"agent\":\"bot\",\"destination\":\"up\",\"method\":\"%s\",\"path\":\"%s\"%s}"
                .formatted(method, path, more == null ? "" : "," + more));
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(200);
    JsonNode steps = answer.json().get("steps");
    String last = steps.get(steps.size() - 1).get("result").stringValue();
    String outcome = answer.json().get("outcome").stringValue();
    assertThat(last).isEqualTo(expected.equals("granted") ? "passed" : expected);
    assertThat(outcome).isEqualTo(expected.startsWith("condition") ? "refused" : expected);
    assertThat(answer.json().get("rule").isObject()).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      textBlock =
          """
          "query":{"a":[]}                                | /allow/0/query/a
          "query":{"a":"any"}                             | /allow/0/query/a
          "query":{"a":["x","x"]}                         | /allow/0/query/a/1
          "query":{"":"*"}                                | /allow/0/query/
          "contentTypes":[]                               | /allow/0/contentTypes
          "contentTypes":["Application/json"]             | /allow/0/contentTypes/0
          "contentTypes":["text/plain; charset=utf-8"]    | /allow/0/contentTypes/0
          "contentTypes":["text/*"]                       | /allow/0/contentTypes/0
          "maxBody":"2GiB"                                | /allow/0/maxBody
          "maxConditionBody":"1KiB"                       | /allow/0/maxConditionBody
          "when":""                                       | /allow/0/when
          "when":"body.x =="                              | /allow/0/when
          "when":"request.methd == 'GET'"                 | /allow/0/when
          "when":"request.method"                         | /allow/0/when
          "when":"request.method == 1"                    | /allow/0/when
          "when":"request.path.matches('(a+)+b')"         | /allow/0/when
          "when":"true","maxConditionBody":"2MiB"         | /allow/0/maxConditionBody
          "jsonRpc":{"methods":[]}                        | /allow/0/jsonRpc/methods
          "jsonRpc":{"methods":["a"],"tools":["b"]}       | /allow/0/jsonRpc/tools
          "jsonRpc":{"methods":["a"],"calls":["b"]}       | /allow/0/jsonRpc/calls
          """,
      delimiter = '|')
  void write_ofAConditionThatIsNone_isRefusedWithItsPlace(String condition, String pointer) {
    var answer =
        admin.put(
            "/destinations/up/scopes/bad",
            "{\"allow\":[{\"methods\":[\"POST\"],\"paths\":[\"/x\"],%s}]}".formatted(condition));
    assertThat(answer.status()).as(answer.response().body()).isEqualTo(400);
    assertThat(answer.json().at("/errors/0/pointer").stringValue()).isEqualTo(pointer);
  }

  @Test
  void write_ofCallsForOtherMethodsThanPost_isRefused() {
    var answer =
        admin.put(
            "/destinations/up/scopes/bad",
            "{\"allow\":[{\"methods\":[\"GET\",\"POST\"],\"paths\":[\"/x\"],\"jsonRpc\":{\"methods\":[\"a\"]}}]}");
    assertThat(answer.status()).isEqualTo(400);
    assertThat(answer.json().at("/errors/0/pointer").stringValue()).isEqualTo("/allow/0/methods");
  }

  /** One click must not undo what a rule asks for. */
  @Test
  void console_offersToAddARule_onlyWhereNoneIsAboutThePath() throws Exception {
    Visitor person = new Visitor(broker, Role.ADMIN);
    var unmet = send("GET", "/items?state=closed", BodyPublishers.noBody());
    var missing = send("GET", "/nothing", BodyPublishers.noBody());
    assertThat(unmet.statusCode()).isEqualTo(403);
    assertThat(person.get("/console/decisions/" + decision(missing)).body())
        .contains("/scopes/work?method=GET");
    assertThat(person.get("/console/decisions/" + decision(unmet)).body())
        .contains("condition_false")
        .doesNotContain("/scopes/work?method=");
  }

  @Test
  void reach_saysWhichRulesAskForMore() {
    JsonNode allow = admin.get("/agents/bot/reach").json().at("/destinations/0/allow");
    assertThat(allow.get(0).get("conditional").booleanValue()).isTrue();
    assertThat(allow.get(8).get("conditional").booleanValue()).isFalse();
  }
}
