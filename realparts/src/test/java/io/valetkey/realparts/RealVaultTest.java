package io.valetkey.realparts;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

@NeedsVault
class RealVaultTest {

  @Test
  void start_keepsSecretsAndHandsOutTokens() {
    try (RealVault vault = RealVault.start()) {
      vault.put("secret", "agents/openai", Map.of("api_key", "one"));
      vault.put("secret", "agents/openai", Map.of("api_key", "two"));
      assertThat(
              vault
                  .send("GET", "secret/data/agents/openai", null)
                  .at("/data/data/api_key")
                  .asString())
          .isEqualTo("two");

      vault.readPolicy("agents", "agents");
      assertThat(vault.createToken("agents", Duration.ofMinutes(1))).isNotEmpty();
    }
  }

  /** What a machine with a Vault of its own sets: looked up before everything else. */
  @Test
  void start_whenAnAddressIsConfigured_usesThatVaultAndLeavesItRunning() throws Exception {
    try (RealVault vault = RealVault.startOwn()) {
      String secret = RealVault.random();
      // The environment of a process cannot change, so it takes another process to see it.
      ProcessBuilder other =
          new ProcessBuilder(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-cp",
              System.getProperty("java.class.path"),
              WriterToConfiguredVault.class.getName(),
              secret);
      other.environment().put(VaultProgram.ADDRESS, vault.uri().toString());
      other.environment().put(VaultProgram.TOKEN, vault.rootToken());
      Process process = other.redirectErrorStream(true).start();
      String printed =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();

      assertThat(process.waitFor()).as(printed).isZero();
      assertThat(printed).isEqualTo(vault.uri().toString());
      assertThat(
              vault
                  .send("GET", "secret/data/" + WriterToConfiguredVault.PATH, null)
                  .at("/data/data/value")
                  .asString())
          .isEqualTo(secret);
    }
  }

  @Test
  void startWithTls_isReachedThroughItsOwnAuthority() {
    try (RealVault vault = RealVault.startWithTls()) {
      vault.enableAuth("cert");
      assertThat(vault.uri()).hasScheme("https");
      assertThat(vault.caCertificate()).exists();
    }
  }

  @Test
  void restart_forgetsEverythingButTheRootToken() {
    try (RealVault vault = RealVault.startOwn()) {
      vault.enableKv("team-a");
      vault.restart();
      vault.enableKv("team-a");
      vault.put("team-a", "x", Map.of("y", "z"));
    }
  }
}
