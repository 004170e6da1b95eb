package io.valetkey.broker;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.Python;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Schemathesis reads our OpenAPI and sends what nobody would write by hand: never a 5xx. */
class SchemathesisTest {

  @TempDir private Path folder;

  @Test
  void openApi_underGeneratedRequests_neverBringsAServerError() throws Exception {
    Path python = Python.with("schemathesis", "schemathesis==4.*");
    try (RunningBroker broker = RunningBroker.start(Map.of())) {
      Process process =
          new ProcessBuilder(
                  python.resolveSibling("schemathesis").toString(),
                  "run",
                  broker.url() + "/openapi",
                  "--url=" + broker.url(),
                  "--checks=not_a_server_error",
                  "--phases=examples,coverage,fuzzing",
                  "--max-examples=10",
                  "--seed=1",
                  "--request-timeout=10",
                  "-H",
                  "Authorization: Bearer " + RunningBroker.BOOTSTRAP_TOKEN)
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .start();
      String output = new String(process.getInputStream().readAllBytes());
      assertThat(process.waitFor(5, TimeUnit.MINUTES)).as(output).isTrue();
      assertThat(process.exitValue()).as(output).isZero();
      // It really sent something: the API left records of refused changes.
      try (var connection = broker.database();
          var rows =
              connection
                  .createStatement()
                  .executeQuery("SELECT count(*) FROM audit_record WHERE action LIKE 'admin.%'")) {
        rows.next();
        assertThat(rows.getInt(1)).as(output).isGreaterThan(50);
      }
    }
  }
}
