package io.valetkey.broker.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.OctetSequenceKey;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import java.nio.charset.StandardCharsets;
import java.security.KeyPairGenerator;
import java.security.interfaces.RSAPublicKey;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CryptoProviderTest {

  private static final byte[] INPUT = "input".getBytes(StandardCharsets.US_ASCII);

  @ParameterizedTest
  @CsvSource({"jdk,ES256", "jdk,EdDSA", "auto,ES256", "auto,EdDSA"})
  void signer_whenKeyWasGenerated_verifierAcceptsAndRefusesOtherInput(String choice, String name)
      throws Exception {
    CryptoProvider crypto = CryptoProvider.select(choice);
    JWSAlgorithm alg = JWSAlgorithm.parse(name);
    JWK key = crypto.generate(alg);
    Base64URL signature = crypto.signer(key, alg).sign(new JWSHeader(alg), INPUT);
    var verifier = crypto.verifier(key.toPublicJWK(), alg);

    assertThat(verifier.verify(new JWSHeader(alg), INPUT, signature)).isTrue();
    assertThat(verifier.verify(new JWSHeader(alg), new byte[] {1}, signature)).isFalse();
    assertThat(key.getKeyID()).isEqualTo(key.computeThumbprint().toString());
    assertThat(key.toPublicJWK().isPrivate()).isFalse();
  }

  @ParameterizedTest
  @ValueSource(strings = {"ES256", "EdDSA"})
  void signer_ofOneProvider_isAcceptedByTheOther(String name) throws Exception {
    JWSAlgorithm alg = JWSAlgorithm.parse(name);
    CryptoProvider auto = CryptoProvider.select("auto");
    CryptoProvider jdk = CryptoProvider.select("jdk");
    JWK key = auto.generate(alg);
    JWSHeader header = new JWSHeader(alg);

    assertThat(
            jdk.verifier(key, alg).verify(header, INPUT, auto.signer(key, alg).sign(header, INPUT)))
        .isTrue();
    assertThat(
            auto.verifier(key, alg).verify(header, INPUT, jdk.signer(key, alg).sign(header, INPUT)))
        .isTrue();
  }

  @Test
  void select_whenJdk_isVisiblyNotAccelerated() {
    CryptoProvider crypto = CryptoProvider.select("jdk");
    assertThat(crypto.accelerated()).isFalse();
    assertThat(crypto.name()).isEqualTo("jdk");
    assertThat(crypto.reason()).isNotBlank();
    assertThat(crypto.jca()).isNull();
  }

  @Test
  void select_whenAuto_sayWhatIsInUseAndWhy() {
    CryptoProvider crypto = CryptoProvider.select("auto");
    assertThat(crypto.accelerated()).isEqualTo(crypto.name().equals("accp"));
    assertThat(crypto.reason()).isNotBlank();
  }

  @Test
  void select_whenUnknown_refuses() {
    assertThatThrownBy(() -> CryptoProvider.select("fast"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @ParameterizedTest
  @CsvSource({"P-256,ES384", "P-384,ES256", "P-521,ES256", "P-256,RS256", "P-256,EdDSA"})
  void verifier_whenKeyDoesNotFitAlgorithm_refuses(String curve, String alg) throws Exception {
    ECKey key = new ECKeyGenerator(Curve.parse(curve)).generate();
    assertThatThrownBy(() -> CryptoProvider.select("jdk").verifier(key, JWSAlgorithm.parse(alg)))
        .isInstanceOf(JOSEException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"HS256", "none", "ES256K"})
  void verifier_whenAlgorithmIsNotOurs_refuses(String alg) throws Exception {
    JWK symmetric = new OctetSequenceKey.Builder(new byte[32]).build();
    JWK ec = new ECKeyGenerator(Curve.P_256).generate();
    CryptoProvider crypto = CryptoProvider.select("jdk");
    assertThatThrownBy(() -> crypto.verifier(symmetric, JWSAlgorithm.parse(alg)))
        .isInstanceOf(JOSEException.class);
    assertThatThrownBy(() -> crypto.verifier(ec, JWSAlgorithm.parse(alg)))
        .isInstanceOf(JOSEException.class);
  }

  @ParameterizedTest
  @ValueSource(ints = {1024, 2040})
  void verifier_whenRsaKeyIsWeak_refuses(int bits) throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
    generator.initialize(bits);
    JWK key = new RSAKey.Builder((RSAPublicKey) generator.generateKeyPair().getPublic()).build();
    assertThatThrownBy(() -> CryptoProvider.select("jdk").verifier(key, JWSAlgorithm.RS256))
        .isInstanceOf(JOSEException.class);
  }

  @Test
  void verifier_whenPointIsNotOnCurve_refuses() throws Exception {
    String off = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}";
    String one = Base64URL.encode(new byte[32]).toString();
    assertThatThrownBy(() -> JWK.parse(off.formatted(one, one)))
        .as("no such key can even be made")
        .hasMessageContaining("curve");
  }

  @ParameterizedTest
  @ValueSource(strings = {"jdk", "auto"})
  void verifier_acceptsTheEd25519ExampleOfRfc8037AppendixA(String choice) throws Exception {
    JWK key =
        JWK.parse(
            "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                + "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    byte[] input =
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
            .getBytes(StandardCharsets.US_ASCII);
    Base64URL signature =
        new Base64URL(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    var verifier = CryptoProvider.select(choice).verifier(key, JWSAlgorithm.EdDSA);
    assertThat(verifier.verify(new JWSHeader(JWSAlgorithm.EdDSA), input, signature)).isTrue();
  }
}
