package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.valetkey.broker.MovableClock;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.broker.problem.RefusedException;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** P4: a Vault that does not answer leads to a refusal in bounded time, and to nothing worse. */
@NeedsVault
class VaultFaultTest {

  private static final int CALLS = 4;
  private static final CredentialSettings SETTINGS =
      new CredentialSettings(
          Duration.ofMinutes(1), Duration.ofSeconds(2), Duration.ofSeconds(1), 100);

  private final MovableClock clock = new MovableClock(Instant.parse("2026-11-01T00:00:00Z"));
  private RealVault vault;
  private VaultConnection connection;
  private UpstreamCredentials credentials;

  @BeforeEach
  void start() {
    vault = RealVault.startOwn();
    for (int i = 0; i < 20; i++) {
      vault.put("secret", "agents/" + i, Map.of("api_key", "canary-" + i));
    }
    connection =
        new VaultConnection(
            new VaultSettings(
                vault.uri(),
                new VaultLogin.Token(SecretValue.of(vault.rootToken())),
                null,
                null,
                Duration.ofSeconds(1),
                CALLS));
    credentials =
        new UpstreamCredentials(
            CredentialSource.unconfigured("x"),
            new VaultKvSource(connection),
            ProviderTokensTest.nowhere(),
            null,
            CertificateSource.unconfigured("valetkey.vault.uri"),
            SETTINGS,
            clock);
  }

  @AfterEach
  void stop() {
    credentials.close();
    connection.close();
    vault.close();
  }

  @Test
  void pausedVault_refusesAllWithinTheDeadline_givesEveryTurnBack_andRecovers() {
    vault.freeze();
    refusedWithinTheDeadline();
    await().atMost(5, TimeUnit.SECONDS).until(() -> connection.freeTurns() == CALLS);

    vault.thaw();
    clock.advance(SETTINGS.refreshInterval());
    assertThat(value(3)).isEqualTo("canary-3");
  }

  @Test
  void vaultPausedAfterTheLogin_usesWhatItHas_forFiveMinutesAtMost() {
    assertThat(value(1)).isEqualTo("canary-1");
    vault.freeze();
    clock.advance(SETTINGS.ttl());
    assertThat(value(1)).isEqualTo("canary-1");
    clock.advance(CredentialSettings.MAX_AGE);
    refusedWithinTheDeadline();
    await().atMost(5, TimeUnit.SECONDS).until(() -> connection.freeTurns() == CALLS);
  }

  @Test
  void restartedVault_isUsedAgainWithoutARestartOfOurs() {
    assertThat(value(1)).isEqualTo("canary-1");
    vault.stop();
    clock.advance(CredentialSettings.MAX_AGE);
    assertThatThrownBy(() -> value(1)).isInstanceOf(SourceAwayException.class);

    vault.restart();
    vault.put("secret", "agents/1", Map.of("api_key", "canary-new"));
    clock.advance(SETTINGS.refreshInterval());
    assertThat(value(1)).isEqualTo("canary-new");
  }

  @Test
  void sealedVault_isAwayAndNotAnAnswer() {
    assertThat(value(1)).isEqualTo("canary-1");
    vault.send("PUT", "sys/seal", null);
    clock.advance(SETTINGS.ttl());
    assertThat(value(1)).isEqualTo("canary-1");
    assertThatThrownBy(() -> value(2))
        .isInstanceOf(SourceAwayException.class)
        .hasMessageContaining("503");
  }

  @Test
  void close_whileVaultIsPaused_endsInBoundedTime() {
    assertThat(value(1)).isEqualTo("canary-1");
    vault.freeze();
    long start = System.nanoTime();
    connection.close();
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
  }

  /** 20 references at once through 4 turns: the bulkhead must not make the last wait 5 times. */
  private void refusedWithinTheDeadline() {
    long start = System.nanoTime();
    List<CompletableFuture<UpstreamCredential>> all = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      all.add(credentials.get(reference(i)));
    }
    for (CompletableFuture<UpstreamCredential> one : all) {
      assertThatThrownBy(() -> one.get(10, TimeUnit.SECONDS))
          .hasCauseInstanceOf(SourceAwayException.class);
    }
    assertThat(Duration.ofNanos(System.nanoTime() - start))
        .isLessThan(SETTINGS.deadline().plusSeconds(1));
  }

  private String value(int number) {
    try {
      return credentials.get(reference(number)).get(10, TimeUnit.SECONDS).value().reveal();
    } catch (ExecutionException e) {
      throw (RefusedException) e.getCause();
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private static Credential.VaultKv reference(int number) {
    return new Credential.VaultKv("secret", "agents/" + number, "api_key");
  }
}
