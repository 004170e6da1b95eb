package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Reading from a real Vault with a token that may read below {@code secret/agents/} only. */
@NeedsVault
class VaultKvSourceTest {

  private static RealVault vault;

  private VaultConnection connection;
  private VaultKvSource source;

  @BeforeAll
  static void startVault() {
    vault = RealVault.start();
    vault.readPolicy("agents", "agents");
  }

  @AfterAll
  static void stopVault() {
    vault.close();
  }

  @BeforeEach
  void connect() {
    connection = connect(vault.createToken("agents", Duration.ofMinutes(5)));
    source = new VaultKvSource(connection);
  }

  @AfterEach
  void disconnect() {
    connection.close();
  }

  @Test
  void read_answersTheLatestVersionOfTheField() {
    vault.put("secret", "agents/openai", Map.of("api_key", "canary-1", "other", "x"));
    assertThat(read("agents/openai", "api_key")).isEqualTo("canary-1");
    vault.put("secret", "agents/openai", Map.of("api_key", "canary-2"));
    assertThat(read("agents/openai", "api_key")).isEqualTo("canary-2");
  }

  @Test
  void read_whenPathOrFieldIsMissing_refusesForCertain() {
    vault.put("secret", "agents/present", Map.of("api_key", "canary", "number", 7));
    refused("agents/absent", "api_key", "does not exist");
    refused("agents/present", "absent", "no such field");
    refused("agents/present", "number", "not text");
    vault.put("secret", "agents/lines", Map.of("api_key", "canary\r\nX-Evil: 1"));
    refused("agents/lines", "api_key", "control character");
  }

  @Test
  void read_takesFieldsOfOneVersionTogether() {
    vault.put("secret", "agents/datadog", Map.of("api_key", "canary-1", "app_key", "canary-2"));
    var reference = new Credential.VaultKv("secret", "agents/datadog", null);
    CredentialFields fields = source.read(reference, List.of("api_key", "app_key"), List.of("x"));
    assertThat(fields.all())
        .extracting(SecretValue::reveal)
        .containsExactly("canary-1", "canary-2");
    assertThatThrownBy(() -> source.read(reference, List.of("api_key", "absent"), List.of()))
        .hasMessageContaining("has no field absent")
        .hasMessageNotContaining("canary");
  }

  @Test
  void read_whenTheLatestVersionWasDeleted_refusesForCertain() {
    vault.put("secret", "agents/deleted", Map.of("api_key", "canary"));
    vault.send("DELETE", "secret/data/agents/deleted", null);
    refused("agents/deleted", "api_key", "does not exist");
  }

  @Test
  void read_withoutPermission_refusesForCertain_andKeepsTheLogin() {
    vault.put("secret", "others/openai", Map.of("api_key", "canary"));
    refused("others/openai", "api_key", "403");
    vault.put("secret", "agents/after", Map.of("api_key", "canary-1"));
    assertThat(read("agents/after", "api_key")).isEqualTo("canary-1");
  }

  @ParameterizedTest
  @CsvSource({
    "secret, ../sys/mounts",
    "secret, agents/../others/openai",
    "secret, agents//openai",
    "secret, agents/openai?version=1",
    "secret, agents/%2e%2e/x",
    "secret, agents/{x}",
    "secret, agents/openai/",
    "sys/../secret, agents/openai",
    "'', agents/openai"
  })
  void read_whenThePathIsNotPlain_refusesWithoutAsking(String mount, String path) {
    assertThatThrownBy(() -> source.read(new Credential.VaultKv(mount, path, "api_key")))
        .isInstanceOf(RefusedException.class)
        .hasMessageContaining("not a plain Vault path");
  }

  @Test
  void read_whenTheTokenIsWrong_saysThatNothingIsKnown() {
    try (VaultConnection wrong = connect("hvs.wrong")) {
      assertThatThrownBy(() -> new VaultKvSource(wrong).read(reference("agents/openai", "api_key")))
          .isInstanceOf(SourceAwayException.class)
          .hasMessageNotContaining("hvs.wrong");
    }
  }

  @Test
  void close_leavesATokenThatWasGivenAlive() {
    String token = vault.createToken("agents", Duration.ofMinutes(5));
    vault.put("secret", "agents/alive", Map.of("api_key", "canary"));
    for (int i = 0; i < 2; i++) {
      try (VaultConnection once = connect(token)) {
        assertThat(new VaultKvSource(once).read(reference("agents/alive", "api_key")).reveal())
            .isEqualTo("canary");
      }
    }
  }

  @Test
  void token_isRenewedBeforeItEnds() throws Exception {
    vault.put("secret", "agents/renewed", Map.of("api_key", "canary"));
    String token = vault.createToken("agents", Duration.ofSeconds(8));
    try (VaultConnection renewing = connect(token)) {
      VaultKvSource renewingSource = new VaultKvSource(renewing);
      for (int i = 0; i < 6; i++) {
        assertThat(renewingSource.read(reference("agents/renewed", "api_key")).reveal())
            .isEqualTo("canary");
        Thread.sleep(2_000);
      }
    }
  }

  @Test
  void rotatedSecret_isUsedWithinItsTtl() throws Exception {
    vault.put("secret", "agents/rotated", Map.of("api_key", "canary-1"));
    MovableClock clock = new MovableClock(Instant.parse("2026-11-01T00:00:00Z"));
    CredentialSettings settings = CredentialSettings.defaults();
    try (UpstreamCredentials credentials =
        new UpstreamCredentials(
            CredentialSource.unconfigured("x"),
            source,
            ProviderTokensTest.nowhere(),
            null,
            CertificateSource.unconfigured("valetkey.vault.uri"),
            settings,
            clock)) {
      assertThat(of(credentials, "agents/rotated")).isEqualTo("canary-1");
      vault.put("secret", "agents/rotated", Map.of("api_key", "canary-2"));
      clock.advance(settings.ttl());
      assertThat(of(credentials, "agents/rotated")).isEqualTo("canary-2");
      vault.delete("secret", "agents/rotated");
      clock.advance(settings.ttl());
      assertThatThrownBy(() -> of(credentials, "agents/rotated"))
          .isInstanceOf(ExecutionException.class)
          .hasCauseInstanceOf(RefusedException.class);
    }
  }

  @Test
  void settings_refusePlainHttpBeyondLoopback() {
    for (String address :
        List.of("http://vault.internal:8200", "https://v/ui", "vault", "ftp://v")) {
      assertThatThrownBy(() -> VaultSettings.of(URI.create(address), token("t")))
          .isInstanceOf(IllegalArgumentException.class);
    }
    assertThat(
            VaultSettings.of(URI.create("https://vault.internal:8200"), token("canary")).toString())
        .doesNotContain("canary");
  }

  private String read(String path, String field) {
    return source.read(reference(path, field)).reveal();
  }

  private void refused(String path, String field, String why) {
    assertThatThrownBy(() -> read(path, field))
        .isInstanceOf(RefusedException.class)
        .isNotInstanceOf(SourceAwayException.class)
        .hasMessageContaining(path + "#" + field)
        .hasMessageContaining(why)
        .hasMessageNotContaining("canary");
  }

  private static String of(UpstreamCredentials credentials, String path) throws Exception {
    return credentials.get(reference(path, "api_key")).get(10, TimeUnit.SECONDS).value().reveal();
  }

  private static Credential.VaultKv reference(String path, String field) {
    return new Credential.VaultKv("secret", path, field);
  }

  private static VaultConnection connect(String token) {
    return new VaultConnection(VaultSettings.of(vault.uri(), token(token)));
  }

  private static VaultLogin.Token token(String token) {
    return new VaultLogin.Token(SecretValue.of(token));
  }
}
