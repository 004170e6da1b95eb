package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.broker.Policies;
import io.valetkey.broker.RunningBroker;
import io.valetkey.broker.TestIssuer;
import io.valetkey.realparts.NeedsPrograms;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** Every command of every runbook works against a running broker whose Vault is away. */
@NeedsPrograms({"bash", "curl", "psql"})
class RunbooksTest {

  private static final Pattern BLOCK = Pattern.compile("(?s)```sh\\n(.*?)```");
  private static final TestIssuer ISSUER = new TestIssuer("ci");
  @TempDir private Path folder;

  @Test
  void commands_work() throws Exception {
    Map<String, String> settings = ObservedBroker.settings(folder);
    try (RunningBroker broker = RunningBroker.start(settings);
        RunningBroker gateway = broker.replica(ObservedBroker.withCertificate(folder, settings));
        HttpClient client = HttpClient.newHttpClient()) {
      new Policies(broker).issuer(ISSUER).agent("bot", "ci", "bot-subject", "").await(broker);
      Map<String, String> variables = variables(broker, gateway, settings, client);
      List<String> failed = new ArrayList<>();
      int commands = 0;
      for (Path page : pages()) {
        Matcher block = BLOCK.matcher(Files.readString(page));
        while (block.find()) {
          for (String command : block.group(1).strip().split("\n")) {
            commands++;
            String said = run(command, variables);
            if (said != null) {
              failed.add(page.getFileName() + ": " + command + "\n" + said);
            }
          }
        }
      }
      assertThat(failed).isEmpty();
      assertThat(commands).isGreaterThan(40);
    }
  }

  /** The page that lifts the stop comes last: others look at it. */
  private static List<Path> pages() throws Exception {
    try (var pages = Files.list(ObservedBroker.repository().resolve("docs/runbooks"))) {
      return pages.sorted((a, b) -> Boolean.compare(liftsTheStop(a), liftsTheStop(b))).toList();
    }
  }

  private static boolean liftsTheStop(Path page) {
    return page.endsWith("stop-in-force-long.md");
  }

  private Map<String, String> variables(
      RunningBroker broker, RunningBroker gateway, Map<String, String> settings, HttpClient client)
      throws Exception {
    String header = "Authorization: Bearer " + RunningBroker.BOOTSTRAP_TOKEN;
    String stop =
        client
            .send(
                HttpRequest.newBuilder(broker.api("/admin/v1/stops"))
                    .header("Authorization", header.substring("Authorization: ".length()))
                    .header("Content-Type", "application/json")
                    .POST(
                        BodyPublishers.ofString(
                            "{\"target\":{\"agent\":\"bot\"},\"reason\":\"a test\"}"))
                    .build(),
                BodyHandlers.ofString())
            .body();
    String refused =
        Tokens.ask(broker.url(), Tokens.exchange(ISSUER.token("bot-subject", broker.url())))
            .body()
            .path("decision_id")
            .asString();
    Map<String, String> variables = new HashMap<>();
    variables.put("API", broker.url());
    variables.put("MANAGEMENT", broker.managementUrl());
    variables.put("GATEWAY_MANAGEMENT", gateway.managementUrl());
    variables.put("ADMIN", Files.writeString(folder.resolve("admin"), header).toString());
    variables.put(
        "DB",
        "postgresql://postgres:postgres@localhost:%d/%s"
            .formatted(RunningBroker.postgresPort(), broker.databaseName()));
    variables.put("VAULT_ADDR", settings.get("valetkey.vault.uri"));
    variables.put("STOP", JsonMapper.shared().readTree(stop).path("id").asString());
    variables.put("ISSUER", "ci");
    variables.put("DECISION", refused);
    variables.put("CHECKPOINT", Long.toString(junkCheckpoint(broker)));
    return variables;
  }

  /** A row that is no checkpoint, and its number. */
  private static long junkCheckpoint(RunningBroker broker) throws Exception {
    try (Connection owner = broker.database();
        var row =
            owner
                .createStatement()
                .executeQuery(
                    "INSERT INTO audit_checkpoint SELECT coalesce(max(number), 0) + 1, now(),"
                        + " coalesce(max(upto), 0), 'x' FROM audit_checkpoint RETURNING number")) {
      row.next();
      return row.getLong(1);
    }
  }

  /** Null if it worked: an answer that says no is none. */
  private static String run(String command, Map<String, String> variables) throws Exception {
    String strict = command.replace("curl -s ", "curl -s --fail-with-body ");
    ProcessBuilder builder = new ProcessBuilder("bash", "-euo", "pipefail", "-c", strict);
    builder.environment().putAll(variables);
    Process process = builder.redirectErrorStream(true).start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes());
    boolean ended = process.waitFor(30, TimeUnit.SECONDS);
    return ended && process.exitValue() == 0 && (!said.isBlank() || command.contains("DELETE"))
        ? null
        : "said: " + said;
  }
}
