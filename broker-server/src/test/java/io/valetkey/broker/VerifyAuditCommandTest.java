package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.Map;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An auditor who trusts neither the broker nor the database. Promise: P5. Invariant: E2. */
class VerifyAuditCommandTest {

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"valetkey", "ocsf"})
  void verify_withExportedCheckpoints_findsADatabaseThatWasReplaced(String format)
      throws Exception {
    Path exported = folder.resolve("audit.log");
    Path password = Files.writeString(folder.resolve("password"), "postgres");
    try (RunningBroker broker =
        RunningBroker.start(
            Map.of(
                "valetkey.audit.checkpoint-interval",
                "1s",
                "valetkey.audit.sinks.file",
                exported.toString(),
                "valetkey.audit.sinks.file.format",
                format))) {
      String url =
          "jdbc:postgresql://localhost:"
              + RunningBroker.postgresPort()
              + "/"
              + broker.databaseName();
      String[] arguments = {
        "verify-audit",
        "--url=" + url,
        "--user=postgres",
        "--password-file=" + password,
        "--checkpoints=" + exported
      };
      request(broker.api("/admin/v1/agents"));
      for (int i = 0; i < 300 && !holdsACheckpoint(exported); i++) {
        Thread.sleep(100);
      }

      assertThat(run(arguments)).startsWith("0 sound: ");

      try (Connection owner = broker.database()) {
        owner.createStatement().execute("TRUNCATE audit_record, audit_seal, audit_checkpoint");
      }
      assertThat(run(arguments)).startsWith("1 rolled_back  checkpoint 1");
      assertThat(run("verify-audit", "--bad")).startsWith("2 not verified: ");
    }
  }

  private static boolean holdsACheckpoint(Path file) throws Exception {
    return Files.exists(file) && Files.readString(file).contains("\"jws\":\"");
  }

  private static void request(URI uri) throws Exception {
    try (var client = HttpClient.newHttpClient()) {
      assertThat(
              client
                  .send(HttpRequest.newBuilder(uri).build(), BodyHandlers.discarding())
                  .statusCode())
          .isEqualTo(401);
    }
  }

  private static String run(String... arguments) {
    var bytes = new ByteArrayOutputStream();
    int code =
        VerifyAuditCommand.run(arguments, new PrintStream(bytes, true, StandardCharsets.UTF_8));
    return code + " " + bytes.toString(StandardCharsets.UTF_8);
  }
}
