package io.valetkey.broker.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.policy.DestinationSpec.Credential;
import io.valetkey.realparts.NeedsVault;
import io.valetkey.realparts.RealVault;
import io.valetkey.realparts.TestAuthority;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every way to log in, at a real Vault with TLS and an authority of its own. */
@NeedsVault
class VaultLoginTest {

  private static final Credential.VaultKv OPENAI =
      new Credential.VaultKv("secret", "agents/openai", "api_key");

  private static RealVault vault;

  @TempDir Path folder;

  @BeforeAll
  static void startVault() {
    vault = RealVault.startWithTls();
    vault.readPolicy("agents", "agents");
    vault.put("secret", "agents/openai", Map.of("api_key", "canary-1"));
    vault.enableAuth("approle");
    vault.enableAuth("jwt");
    vault.enableAuth("cert");
  }

  @AfterAll
  static void stopVault() {
    vault.close();
  }

  @Test
  void tokenFile_isReadAgainAtTheNextLogin() throws Exception {
    String first = vault.createToken("agents", Duration.ofMinutes(5));
    Path file = Files.writeString(folder.resolve("token"), first + "\n");
    try (VaultConnection connection = connect(new VaultLogin.TokenFile(file))) {
      assertThat(read(connection)).isEqualTo("canary-1");
      vault.revokeToken(first);
      Files.writeString(file, vault.createToken("agents", Duration.ofMinutes(5)));
      assertThat(read(connection)).isEqualTo("canary-1");
    }
  }

  @Test
  void appRole_logsInAgainWhenItsTokenIsRevoked_andRevokesItsOwnAtTheEnd() throws Exception {
    vault.send(
        "POST",
        "auth/approle/role/broker",
        Map.of("token_policies", List.of("agents"), "token_ttl", "5m"));
    String roleId =
        vault.send("GET", "auth/approle/role/broker/role-id", null).at("/data/role_id").asString();
    String secretId =
        vault
            .send("POST", "auth/approle/role/broker/secret-id", Map.of())
            .at("/data/secret_id")
            .asString();
    Path file = Files.writeString(folder.resolve("secret-id"), secretId);
    int before = accessors();
    try (VaultConnection connection = connect(new VaultLogin.AppRole("approle", roleId, file))) {
      assertThat(read(connection)).isEqualTo("canary-1");
      vault.revokeLogins("approle");
      assertThat(read(connection)).isEqualTo("canary-1");
      assertThat(accessors()).isEqualTo(before + 1);
    }
    assertThat(accessors()).isEqualTo(before);
  }

  @Test
  void missingPermission_costsNoFurtherLogin() throws Exception {
    String token = vault.createToken("default", Duration.ofMinutes(5));
    Path file = Files.writeString(folder.resolve("token"), token);
    try (VaultConnection connection = connect(new VaultLogin.TokenFile(file))) {
      assertThatThrownBy(() -> read(connection)).hasMessageContaining("403");
      Files.delete(file); // Another login would fail now, and otherwise.
      assertThatThrownBy(() -> read(connection)).hasMessageContaining("403");
    }
  }

  @Test
  void jwt_isReadFromItsFileAtEachLogin() throws Exception {
    ECKey key = new ECKeyGenerator(Curve.P_256).generate();
    vault.send(
        "POST",
        "auth/jwt/config",
        Map.of("jwt_validation_pubkeys", List.of(pem(key.toECPublicKey()))));
    vault.send(
        "POST",
        "auth/jwt/role/broker",
        Map.of(
            "role_type", "jwt",
            "user_claim", "sub",
            "bound_audiences", List.of("vault"),
            "token_policies", List.of("agents"),
            "token_ttl", "5m"));
    Path file = Files.writeString(folder.resolve("jwt"), jwt(key, Duration.ofSeconds(-300)));
    try (VaultConnection connection = connect(new VaultLogin.Jwt("jwt", "broker", file))) {
      assertThatThrownBy(() -> read(connection))
          .isInstanceOf(SourceAwayException.class)
          .hasMessageContaining("login")
          .hasMessageNotContaining("eyJ");
      Files.writeString(file, jwt(key, Duration.ofMinutes(2)));
      assertThat(read(connection)).isEqualTo("canary-1");
      vault.revokeLogins("jwt");
      Files.writeString(file, jwt(key, Duration.ofMinutes(2)));
      assertThat(read(connection)).isEqualTo("canary-1");
    }
  }

  @Test
  void certificate_logsInWithItsKeyStore() throws Exception {
    TestAuthority authority = TestAuthority.create("clients");
    vault.send(
        "POST",
        "auth/cert/certs/broker",
        Map.of(
            "certificate", authority.pem(),
            "allowed_common_names", List.of("broker"),
            "token_policies", List.of("agents")));
    Path password = Files.writeString(folder.resolve("password"), "a-password\n");
    Path right =
        authority.client("CN=broker").writeKeyStore(folder.resolve("right.p12"), "a-password");
    Path wrong =
        authority.client("CN=other").writeKeyStore(folder.resolve("wrong.p12"), "a-password");

    try (VaultConnection connection =
        connect(new VaultLogin.Certificate("cert", "broker", right, password))) {
      assertThat(read(connection)).isEqualTo("canary-1");
    }
    try (VaultConnection connection =
        connect(new VaultLogin.Certificate("cert", "broker", wrong, password))) {
      assertThatThrownBy(() -> read(connection)).isInstanceOf(SourceAwayException.class);
    }
  }

  @Test
  void vaultOfAnotherAuthority_isNotSpokenTo() throws Exception {
    Path other = TestAuthority.create("other").writePem(folder);
    Path file =
        Files.writeString(
            folder.resolve("token"), vault.createToken("agents", Duration.ofMinutes(5)));
    VaultSettings settings =
        new VaultSettings(
            vault.uri(), new VaultLogin.TokenFile(file), null, other, Duration.ofSeconds(3), 4);
    try (VaultConnection connection = new VaultConnection(settings)) {
      assertThatThrownBy(() -> read(connection)).isInstanceOf(SourceAwayException.class);
    }
  }

  @Test
  void missingCertificateFile_stopsTheStart() {
    VaultSettings settings =
        new VaultSettings(
            vault.uri(),
            new VaultLogin.TokenFile(folder.resolve("token")),
            null,
            folder.resolve("absent.pem"),
            Duration.ofSeconds(3),
            4);
    assertThatThrownBy(() -> new VaultConnection(settings))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static VaultConnection connect(VaultLogin login) {
    return new VaultConnection(
        new VaultSettings(
            vault.uri(), login, null, vault.caCertificate(), Duration.ofSeconds(3), 4));
  }

  private static String read(VaultConnection connection) {
    return new VaultKvSource(connection).read(OPENAI).reveal();
  }

  private static int accessors() {
    return vault.send("LIST", "auth/token/accessors", null).at("/data/keys").size();
  }

  private static String jwt(ECKey key, Duration life) throws Exception {
    Instant now = Instant.now();
    SignedJWT jwt =
        new SignedJWT(
            new JWSHeader(JWSAlgorithm.ES256),
            new JWTClaimsSet.Builder()
                .subject("broker")
                .audience("vault")
                .issueTime(Date.from(now.minusSeconds(600)))
                .expirationTime(Date.from(now.plus(life)))
                .build());
    jwt.sign(new ECDSASigner(key));
    return jwt.serialize();
  }

  private static String pem(PublicKey key) {
    StringWriter pem = new StringWriter();
    pem.write("-----BEGIN PUBLIC KEY-----\n");
    pem.write(Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded()));
    pem.write("\n-----END PUBLIC KEY-----\n");
    return pem.toString();
  }
}
