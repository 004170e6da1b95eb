package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.crypto.RSASSAVerifier;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.MovableClock;
import io.valetkey.broker.secret.SecretValue;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A key that stays in a real Vault. */
@NeedsVault
class VaultTransitTest {

  private final MovableClock clock = new MovableClock(Instant.parse("2026-11-01T00:00:00Z"));
  private RealVault vault;
  private VaultConnection connection;

  @BeforeEach
  void start() {
    vault = RealVault.startOwn();
    vault.send("POST", "sys/mounts/own/transit", Map.of("type", "transit"));
    vault.policy(
        "federation",
        """
        path "own/transit/keys/federation" { capabilities = ["read"] }
        path "own/transit/sign/federation/sha2-256" { capabilities = ["update"] }
        """);
    String token = vault.createToken("federation", Duration.ofHours(1));
    connection =
        new VaultConnection(
            new VaultSettings(
                vault.uri(),
                new VaultLogin.Token(SecretValue.of(token)),
                null,
                null,
                Duration.ofSeconds(2),
                4));
  }

  @AfterEach
  void stop() {
    connection.close();
    vault.close();
  }

  private VaultTransit key(String type) {
    vault.send("POST", "own/transit/keys/federation", Map.of("type", type));
    return new VaultTransit(connection, "own/transit", "federation", clock);
  }

  private static boolean verifies(String jwt, List<JWK> keys) throws Exception {
    SignedJWT signed = SignedJWT.parse(jwt);
    JWK key =
        keys.stream()
            .filter(k -> k.getKeyID().equals(signed.getHeader().getKeyID()))
            .findFirst()
            .orElseThrow();
    return signed.verify(
        key instanceof ECKey curve ? new ECDSAVerifier(curve) : new RSASSAVerifier(key.toRSAKey()));
  }

  @ParameterizedTest
  @CsvSource({"ecdsa-p256, ES256", "rsa-2048, RS256", "rsa-4096, RS256"})
  void assertion_isVerifiedByThePublishedKey(String type, String algorithm) throws Exception {
    VaultTransit key = key(type);
    String jwt = key.sign(Map.of("sub", "a \"b\""));
    assertThat(verifies(jwt, key.publicKeys())).isTrue();
    SignedJWT signed = SignedJWT.parse(jwt);
    assertThat(signed.getHeader().getAlgorithm().getName()).isEqualTo(algorithm);
    assertThat(signed.getHeader().getType().toString()).isEqualTo("JWT");
    assertThat(signed.getJWTClaimsSet().getSubject()).isEqualTo("a \"b\"");
    assertThat(key.publicKeys()).hasSize(1).noneMatch(JWK::isPrivate);
  }

  @Test
  void rotatedKey_signsAfterAMinute_andTheOldOneStaysPublished() throws Exception {
    VaultTransit key = key("ecdsa-p256");
    String old = key.sign(Map.of("sub", "a"));
    vault.send("POST", "own/transit/keys/federation/rotate", Map.of());
    assertThat(SignedJWT.parse(key.sign(Map.of())).getHeader().getKeyID())
        .isEqualTo(SignedJWT.parse(old).getHeader().getKeyID());
    clock.advance(Duration.ofSeconds(60));
    String fresh = key.sign(Map.of("sub", "b"));
    assertThat(SignedJWT.parse(fresh).getHeader().getKeyID())
        .isNotEqualTo(SignedJWT.parse(old).getHeader().getKeyID());
    assertThat(key.publicKeys()).hasSize(2);
    assertThat(verifies(old, key.publicKeys())).isTrue();
    assertThat(verifies(fresh, key.publicKeys())).isTrue();
  }

  @Test
  void vaultThatIsAway_leavesTheKnownKeysPublishedAndSignsNothing() throws Exception {
    VaultTransit key = key("ecdsa-p256");
    assertThat(key.publicKeys()).hasSize(1);
    vault.freeze();
    clock.advance(Duration.ofHours(1));
    assertThat(key.publicKeys()).hasSize(1);
    assertThatThrownBy(() -> key.sign(Map.of()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("Vault did not answer");
    vault.thaw();
  }

  @Test
  void keyThatCannotSign_isRefused() {
    assertThatThrownBy(() -> key("aes256-gcm96").publicKeys())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("no key that can sign");
    assertThatThrownBy(
            () -> new VaultTransit(connection, "own/transit", "other", clock).publicKeys())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("Vault answered 403");
    assertThat(VaultTransit.isKey("own/../sys", "x")).isFalse();
    assertThat(VaultTransit.isKey("transit", "x?y")).isFalse();
  }
}
