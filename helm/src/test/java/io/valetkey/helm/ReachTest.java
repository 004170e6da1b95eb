package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.valetkey.realparts.NeedsHelm;
import io.valetkey.realparts.RealPostgres;
import io.valetkey.realparts.TestAuthority;
import io.valetkey.realparts.TestCertificate;
import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.awaitility.core.ConditionTimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * What the chart configures is started on this machine: the migration, an issuer and a gateway with
 * TLS, and the script of {@code helm test} against them.
 */
@NeedsHelm
class ReachTest {

  @TempDir Path folder;

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  private Path folder(String name) throws IOException {
    return Files.createDirectories(folder.resolve(name));
  }

  private static Map<String, String> login(String user) {
    return Map.of("username", user, "password", "not-needed-here");
  }

  private static void awaitReady(LocalPod pod, int management) {
    try {
      await()
          .atMost(Duration.ofSeconds(60))
          .until(() ->
              !pod.isAlive()
                  || status("http://127.0.0.1:" + management + "/actuator/health/readiness")
                      == 200);
      assertThat(pod.isAlive()).as(pod.log()).isTrue();
    } catch (ConditionTimeoutException e) {
      throw new AssertionError("it is not ready:\n" + pod.log(), e);
    }
  }

  private static int status(String url) {
    try {
      HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
      connection.setConnectTimeout(500);
      connection.setReadTimeout(2000);
      return connection.getResponseCode();
    } catch (IOException e) {
      return 0;
    }
  }

  @Test
  void renderedPods_migrateServeAndPassTheTestOfTheChart() throws Exception {
    int api = freePort();
    int gateway = freePort();
    int issuerManagement = freePort();
    int gatewayManagement = freePort();
    String database = RealPostgres.freshDatabase().url();
    TestCertificate certificate = TestAuthority.create("chart").server("127.0.0.1");
    Map<String, String> tls =
        Map.of("tls.crt", certificate.certificatePem(), "tls.key", certificate.keyPem());
    Map<String, Map<String, String>> secrets =
        Map.of(
            "valetkey-database",
            login(RealPostgres.APPLICATION),
            "valetkey-owner",
            login(RealPostgres.OWNER),
            "credentials",
            Map.of("openai", "not-needed-here"),
            "issuer-tls",
            tls,
            "gateway-tls",
            tls);
    Map<String, String> values = new LinkedHashMap<>();
    values.put("database.url", database);
    values.put("migrations.existingSecret", "valetkey-owner");
    values.put("publicUrl", "https://127.0.0.1:" + api);
    values.put("gateway.publicUrl", "https://127.0.0.1:" + gateway);
    values.put("agents.namespaces[0]", "agents");
    values.put("fileSource.existingSecret", "credentials");
    values.put("policies[0].kind", "destination");
    values.put("policies[0].name", "openai");
    values.put("policies[0].spec.kind", "http");
    values.put("policies[0].spec.origin", "https://api.openai.com");
    values.put("policies[0].spec.credential.source", "file");
    values.put("policies[0].spec.credential.name", "openai");
    values.put("settings.server\\.address", "127.0.0.1");
    values.put("settings.valetkey\\.gateway\\.address", "127.0.0.1");
    values.put("settings.management\\.server\\.address", "127.0.0.1");
    values.put("settings.valetkey\\.gateway\\.port", String.valueOf(gateway));
    Rendered issuers = render(values, api, issuerManagement);
    Rendered gateways = render(values, api, gatewayManagement);

    JsonNode job = issuers.one("Job", "v-valetkey-migrate").at("/spec/template/spec");
    try (LocalPod migrate = LocalPod.start(issuers, job, secrets, folder("migrate"))) {
      assertThat(migrate.await()).as(migrate.log()).isZero();
      assertThat(migrate.log()).contains("The schema is at version");
    }
    JsonNode issuerPod = issuers.one("Deployment", "v-valetkey-issuer").at("/spec/template/spec");
    JsonNode gatewayPod =
        gateways.one("Deployment", "v-valetkey-gateway").at("/spec/template/spec");
    JsonNode test = issuers.one("Pod", "v-valetkey-test-reach");
    String outOfReach = "https://127.0.0.1:" + freePort();
    try (LocalPod issuer = LocalPod.start(issuers, issuerPod, secrets, folder("issuer"))) {
      awaitReady(issuer, issuerManagement);
      await()
          .atMost(Duration.ofSeconds(30))
          .untilAsserted(() ->
              assertThat(names(database, "SELECT name FROM destination"))
                  .as(issuer.log())
                  .containsExactly("openai"));
      assertThat(names(database, "SELECT name || ' ' || generation FROM policy_owner"))
          .containsExactly("helm 1");
      assertThat(folder.resolve("issuer/credentials")).doesNotExist();
      assertThat(reach(test, outOfReach).unsuccessfully())
          .contains("ok: the issuer publishes its keys", "FAILED: the gateway answers");
      try (LocalPod carrier = LocalPod.start(gateways, gatewayPod, secrets, folder("gateway"))) {
        awaitReady(carrier, gatewayManagement);
        assertThat(folder.resolve("gateway/credentials/openai")).exists();
        assertThat(reach(test, outOfReach).successfully())
            .contains("ok: the gateway answers", "ok: " + outOfReach + " is out of reach")
            .doesNotContain("FAILED");
        // The blocked way, open: the test must notice.
        String open = "https://127.0.0.1:" + api;
        assertThat(reach(test, outOfReach + " " + open).unsuccessfully())
            .contains("FAILED: " + open + " is out of reach");
      }
    }
  }

  private static List<String> names(String database, String query) throws SQLException {
    List<String> names = new ArrayList<>();
    try (var connection = DriverManager.getConnection(database, RealPostgres.OWNER, "");
        var rows = connection.createStatement().executeQuery(query)) {
      while (rows.next()) {
        names.add(rows.getString(1));
      }
    }
    return names;
  }

  private static Rendered render(Map<String, String> values, int api, int management) {
    Map<String, String> all = new LinkedHashMap<>(values);
    all.put("settings.server\\.port", String.valueOf(api));
    all.put("settings.management\\.server\\.port", String.valueOf(management));
    return Chart.render(
        "minimum",
        all.entrySet().stream()
            .flatMap(e -> List.of("--set", e.getKey() + "=" + e.getValue()).stream())
            .toArray(String[]::new));
  }

  /** Runs the container's command, with something else to be blocked. */
  private static Chart.Ran reach(JsonNode pod, String blocked) {
    JsonNode container = pod.at("/spec/containers/0");
    Map<String, String> environment = new LinkedHashMap<>();
    container
        .at("/env")
        .forEach(e -> environment.put(e.at("/name").asString(), e.at("/value").asString()));
    environment.put("BLOCKED", blocked);
    List<String> command = new ArrayList<>(Rendered.texts(container.at("/command")));
    command.addAll(Rendered.texts(container.at("/args")));
    return Chart.run(environment, command);
  }
}
