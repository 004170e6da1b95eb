package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Lines of a request carry its decision id, and no line carries another's. Invariant: T5. */
class DecisionLogTest {

  private static final TestIssuer ISSUER = new TestIssuer("ci");
  private static final int REQUESTS = 150;
  @TempDir private Path folder;

  @Test
  void linesOfARequest_carryItsDecisionIdAndNoOther() throws Exception {
    Path file = folder.resolve("broker.json");
    Set<String> told = new HashSet<>();
    try (RunningBroker broker =
            RunningBroker.start(
                Map.of(
                    "logging.structured.format.file", "logstash",
                    "logging.file.name", file.toString(),
                    "logging.level.root", "DEBUG",
                    "logging.threshold.console", "OFF"));
        HttpClient client = HttpClient.newHttpClient()) {
      Tokens.writeOneAgent(broker, ISSUER);
      List<Future<String>> answers = new ArrayList<>();
      try (var pool = Executors.newFixedThreadPool(12)) {
        for (int i = 0; i < REQUESTS; i++) {
          boolean gateway = i % 2 == 0;
          String stranger = ISSUER.token("nobody-" + i, broker.url());
          answers.add(
              pool.submit(() ->
                  gateway
                      ? EchoUpstream.use(client, broker.gatewayUrl() + "/d/openai/x", stranger)
                          .body()
                      : // A proof is looked up in the database, which says so at DEBUG.
                      Tokens.ask(
                              broker.url(),
                              Tokens.exchange(stranger),
                              "DPoP",
                              Proof.on(broker.url() + "/oauth2/token").sign())
                          .http()
                          .body()));
        }
        for (Future<String> answer : answers) {
          told.add(JsonMapper.shared().readTree(answer.get()).path("decision_id").asString());
        }
      }
    }
    assertThat(told).hasSize(REQUESTS);
    check(Files.readAllLines(file), told);
  }

  private static void check(List<String> lines, Set<String> told) {
    int refusals = 0;
    Map<String, String> idOfHandler = new HashMap<>();
    for (String text : lines) {
      JsonNode line = JsonMapper.shared().readTree(text);
      String id = line.path("decision_id").asString("");
      String thread = line.path("thread_name").asString();
      boolean refusal = line.path("logger_name").asString().endsWith(".RefusalLog");
      if (refusal && !id.isEmpty()) {
        refusals++;
        assertThat(line.path("message").asString()).endsWith("decision " + id);
        assertThat(told).contains(id);
      } else if (thread.startsWith("tomcat-handler") && !id.isEmpty()) {
        // One virtual thread for each request.
        assertThat(idOfHandler.merge(thread, id, (a, b) -> a)).as(text).isEqualTo(id);
      } else {
        assertThat(id).as(text).isEmpty();
      }
    }
    assertThat(refusals).as("bounded, and there").isBetween(20, REQUESTS);
    assertThat(idOfHandler).as("other lines of requests").isNotEmpty();
  }
}
