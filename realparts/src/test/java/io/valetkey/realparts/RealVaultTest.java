package io.valetkey.realparts;

import static org.assertj.core.api.Assertions.assertThat;

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
