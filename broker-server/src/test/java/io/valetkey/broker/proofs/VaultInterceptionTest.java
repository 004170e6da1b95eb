package io.valetkey.broker.proofs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.RunningBroker;
import io.valetkey.realparts.NeedsPrograms;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The forward proxy by an authority that a real Vault certifies: programs trust Vault's root. */
@NeedsVault
@NeedsPrograms({"curl", "openssl"})
@Timeout(180)
class VaultInterceptionTest {

  private static final Pattern CERTIFICATE =
      Pattern.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", Pattern.DOTALL);

  @TempDir private Path folder;
  private final int port = RunningBroker.freePort();
  private RealVault vault;
  private StopStage stage;
  private Path root;
  private String login;

  @BeforeEach
  void start() throws Exception {
    vault = RealVault.startOwn();
    stage = new StopStage(folder);
    vault.send("POST", "sys/mounts/interception", Map.of("type", "pki"));
    vault.send(
        "POST",
        "interception/root/generate/internal",
        Map.of("common_name", "Root of the test", "ttl", "700h"));
    String pem =
        HttpClient.newHttpClient()
            .send(
                HttpRequest.newBuilder(URI.create(vault.uri() + "/v1/interception/ca/pem")).build(),
                BodyHandlers.ofString())
            .body();
    root = Files.writeString(folder.resolve("root.pem"), pem);
    vault.policy(
        "interception",
        "path \"interception/root/sign-intermediate\" { capabilities = [\"update\"] }");
    login = vault.createToken("interception", Duration.ofHours(1));
  }

  @AfterEach
  void stop() {
    stage.close();
    vault.close();
  }

  private Map<String, String> settings() {
    return stage.settings(
        "valetkey.vault.uri",
        vault.uri().toString(),
        "valetkey.vault.token",
        login,
        "valetkey.gateway.forward.port",
        String.valueOf(port),
        "valetkey.gateway.forward.address",
        "127.0.0.1",
        "valetkey.gateway.forward.ca-vault-pki",
        "interception",
        "valetkey.gateway.forward.ca-file",
        folder.resolve("ca.pem").toString(),
        "valetkey.gateway.forward.ca-domains",
        "localhost");
  }

  private String proxy(String token) {
    return "http://x:" + token + "@127.0.0.1:" + port;
  }

  private static String run(String... command) throws Exception {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  private String curl(String token) throws Exception {
    return run(
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_connect} %{http_code}",
        "--proxy",
        proxy(token),
        "--cacert",
        root.toString(),
        "https://localhost:" + stage.upstreamPort() + "/ok");
  }

  /** What is shown in a tunnel, the host's certificate first. */
  private List<String> shown(String token) throws Exception {
    String[] client = {
      "openssl",
      "s_client",
      "-showcerts",
      "-servername",
      "localhost",
      "-connect",
      "localhost:" + stage.upstreamPort(),
      "-proxy",
      "127.0.0.1:" + port,
      "-proxy_user",
      "x",
      "-proxy_pass",
      "pass:" + token
    };
    Matcher found = CERTIFICATE.matcher(run(client));
    List<String> certificates = new ArrayList<>();
    while (found.find()) {
      certificates.add(found.group());
    }
    return certificates;
  }

  private String text(String certificate) throws Exception {
    Path file = Files.writeString(folder.resolve("shown.pem"), certificate);
    return run("openssl", "x509", "-noout", "-text", "-in", file.toString());
  }

  @Test
  void programs_trustTheRootOfVault_andTheAuthorityIsBounded() throws Exception {
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "bot");
      String token = stage.token(broker, "bot");
      await().untilAsserted(() -> assertThat(curl(token)).isEqualTo("200 200"));
      List<String> shown = shown(token);
      assertThat(shown).hasSize(2);
      assertThat(text(shown.getLast()))
          .contains("CA:TRUE, pathlen:0", "Issuer: CN = Root of the test")
          .containsPattern("Name Constraints: critical\\s+Permitted:\\s+DNS:localhost")
          .contains("Excluded:", "IP:0.0.0.0/0.0.0.0");
      assertThat(Files.readString(folder.resolve("ca.pem")).strip())
          .isEqualToIgnoringWhitespace(Files.readString(root));
    }
  }

  @Test
  void authority_isRenewedBeforeItEnds() throws Exception {
    vault.send("POST", "sys/mounts/interception/tune", Map.of("max_lease_ttl", "8s"));
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "bot");
      String token = stage.token(broker, "bot");
      await().untilAsserted(() -> assertThat(curl(token)).isEqualTo("200 200"));
      String first = shown(token).getLast();
      await()
          .atMost(Duration.ofSeconds(60))
          .until(() -> {
            List<String> now = shown(token);
            return now.size() == 2 && !now.getLast().equals(first);
          });
      await().untilAsserted(() -> assertThat(curl(token)).isEqualTo("200 200"));
    }
  }

  @Test
  void vaultThatIsAway_delaysTunnelsAndNothingElse() throws Exception {
    vault.freeze();
    try (RunningBroker broker = RunningBroker.start(settings())) {
      stage.writePolicy(broker, "bot");
      String token = stage.token(broker, "bot");
      assertThat(curl(token)).startsWith("curl:").endsWith("503 000");
      int status =
          HttpClient.newHttpClient()
              .send(
                  HttpRequest.newBuilder(URI.create(broker.gatewayUrl() + "/d/openai/ok"))
                      .header("Authorization", "Bearer " + token)
                      .build(),
                  BodyHandlers.discarding())
              .statusCode();
      assertThat(status).isEqualTo(200);
      vault.thaw();
      await()
          .atMost(Duration.ofSeconds(60))
          .untilAsserted(() -> assertThat(curl(token)).isEqualTo("200 200"));
    }
  }

  @Test
  void settings_thatContradictEachOther_stopTheStart() {
    assertThatThrownBy(() ->
            RunningBroker.start(
                Map.of(
                    "valetkey.gateway.forward.port", String.valueOf(port),
                    "valetkey.gateway.forward.ca-bundle", "x",
                    "valetkey.gateway.forward.ca-vault-pki", "a/../b")))
        .hasMessageContaining("ca-vault-pki: must be the path of a mount")
        .hasMessageContaining("ca-vault-pki: is for an authority without ca-bundle")
        .hasMessageContaining("ca-vault-pki: needs valetkey.vault.uri");
  }
}
