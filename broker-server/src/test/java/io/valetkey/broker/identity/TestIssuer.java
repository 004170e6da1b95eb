package io.valetkey.broker.identity;

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import io.valetkey.broker.crypto.CryptoProvider;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.json.JsonMapper;

/** Signs whatever a test wants signed, with a real key. */
final class TestIssuer {

  static final String AUDIENCE = "https://broker.test";
  static final Instant NOW = Instant.parse("2026-11-23T12:00:00Z");
  static final CryptoProvider CRYPTO = CryptoProvider.select("auto");
  private static final JsonMapper JSON = JsonMapper.builder().build();

  final JWK key;

  TestIssuer(String kid) throws Exception {
    key = new ECKeyGenerator(Curve.P_256).keyID(kid).generate();
  }

  /** Claims that are in order, to be spoiled by the test. */
  static Map<String, Object> claims(String iss) {
    Map<String, Object> claims = new LinkedHashMap<>();
    claims.put("iss", iss);
    claims.put("sub", "system:serviceaccount:team-a:claims-bot");
    claims.put("aud", List.of(AUDIENCE));
    claims.put("iat", NOW.getEpochSecond() - 10);
    claims.put("exp", NOW.getEpochSecond() + 600);
    return claims;
  }

  Map<String, Object> header() {
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("alg", "ES256");
    header.put("kid", key.getKeyID());
    header.put("typ", "JWT");
    return header;
  }

  String token(Map<String, Object> claims) throws Exception {
    return token(header(), claims);
  }

  String token(Map<String, Object> header, Map<String, Object> claims) throws Exception {
    return token(JSON.writeValueAsString(header), JSON.writeValueAsString(claims));
  }

  /** Signs the very texts. */
  String token(String header, String claims) throws Exception {
    String input = encode(header) + "." + encode(claims);
    return input
        + "."
        + CRYPTO
            .signer(key, JWSAlgorithm.ES256)
            .sign(new JWSHeader(JWSAlgorithm.ES256), input.getBytes(StandardCharsets.US_ASCII));
  }

  static String encode(String text) {
    return Base64URL.encode(text).toString();
  }

  Map<String, Object> publicJwk() {
    return key.toPublicJWK().toJSONObject();
  }

  static String jwks(Object... keys) {
    return JSON.writeValueAsString(Map.of("keys", List.of(keys)));
  }
}
