package io.valetkey.broker.proofs;

import com.sun.net.httpserver.HttpExchange;
import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Two agents whose requests to a real HTTPS upstream need an approval, and the people who decide.
 */
final class ApprovalStage implements AutoCloseable {

  private static final JsonMapper JSON = JsonMapper.shared();

  /** What reached the upstream: method, path, query and body. */
  final List<String> reached = new CopyOnWriteArrayList<>();

  final StopStage stage;
  final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  ApprovalStage(Path folder) throws Exception {
    stage = new StopStage(folder);
    stage.serve("/pay", this::take);
  }

  private void take(HttpExchange exchange) throws IOException {
    try (exchange) {
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      reached.add(exchange.getRequestMethod() + " " + exchange.getRequestURI() + " " + body);
      byte[] answer = "paid".getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
    }
  }

  RunningBroker start(String... settings) throws Exception {
    RunningBroker broker = RunningBroker.start(stage.settings(settings));
    stage.writePolicy(broker, "bot", "other");
    return broker;
  }

  /** From now on the scope asks for approvals, on these terms. */
  void needApproval(RunningBroker broker, String terms, RunningBroker... replicas)
      throws Exception {
    Policies policies = new Policies(broker);
    policies.write(
        "scope",
        "openai/all",
        "UPDATE scope SET version = version + 1, spec = spec || ?::jsonb WHERE name = 'all'",
        "{\"approval\":" + terms + "}");
    policies.await(broker);
    for (RunningBroker replica : replicas) {
      policies.await(replica);
    }
  }

  HttpRequest.Builder request(RunningBroker broker, String token, String path) {
    return HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/openai" + path))
        .timeout(Duration.ofSeconds(90))
        .header("Authorization", "Bearer " + token);
  }

  HttpRequest pay(RunningBroker broker, String token, String body, String... fields) {
    HttpRequest.Builder request =
        request(broker, token, "/pay")
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body));
    return fields.length == 0 ? request.build() : request.headers(fields).build();
  }

  HttpResponse<String> send(HttpRequest request) throws Exception {
    return client.send(request, BodyHandlers.ofString());
  }

  CompletableFuture<HttpResponse<String>> sendLater(HttpRequest request) {
    return client.sendAsync(request, BodyHandlers.ofString());
  }

  /** Asks for an approval; what the refusal says. */
  JsonNode ask(HttpRequest request) throws Exception {
    HttpResponse<String> answer = send(request);
    if (answer.statusCode() != 403) {
      throw new AssertionError(answer.statusCode() + " " + answer.body());
    }
    return JSON.readTree(answer.body());
  }

  static String id(JsonNode asked) {
    return asked.required("approval_id").asString();
  }

  HttpResponse<String> poll(String url, String token) throws Exception {
    return send(
        HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token).build());
  }

  /** The one request that waits now. */
  static JsonNode pending(RunningBroker broker) throws Exception {
    List<JsonNode> items = new ArrayList<>();
    StopStage.admin(broker, "GET", "/approvals?state=pending", null)
        .get("items")
        .forEach(items::add);
    if (items.size() != 1) {
      throw new AssertionError(items.toString());
    }
    return items.getFirst();
  }

  static HttpResponse<String> decide(RunningBroker broker, String id, String what, String hash)
      throws Exception {
    return StopStage.adminAnswer(
        broker,
        "POST",
        "/approvals/" + id + "/" + what,
        "{\"requestHash\":\"%s\",\"reason\":\"a test\"}".formatted(hash));
  }

  /** Looks at what is asked for and approves it. */
  static void approve(RunningBroker broker, String id) throws Exception {
    JsonNode shown = StopStage.admin(broker, "GET", "/approvals/" + id, null);
    HttpResponse<String> answer =
        decide(broker, id, "approve", shown.get("requestHash").asString());
    if (answer.statusCode() != 200) {
      throw new AssertionError(answer.body());
    }
  }

  static String error(HttpResponse<String> answer) {
    return answer.headers().firstValue("valetkey-error").orElse("none");
  }

  /** How often each action is in the audit trail. */
  static Map<String, Integer> actions(RunningBroker broker) throws Exception {
    Map<String, Integer> actions = new java.util.TreeMap<>();
    try (var database = broker.database();
        var rows =
            database
                .createStatement()
                .executeQuery(
                    "SELECT action || ' ' || outcome || coalesce(' ' || reason, ''), count(*)::int"
                        + " FROM audit_record WHERE action LIKE 'approval.%' OR action ="
                        + " 'gateway.request' GROUP BY 1")) {
      while (rows.next()) {
        actions.put(rows.getString(1), rows.getInt(2));
      }
    }
    return actions;
  }

  @Override
  public void close() {
    client.close();
    stage.close();
  }
}
