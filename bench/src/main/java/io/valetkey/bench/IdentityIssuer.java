package io.valetkey.bench;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.JWSSigner;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.crypto.CryptoProvider;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.UUID;

/** A platform that vouches for workloads: signs real identity tokens with a key of its own. */
final class IdentityIssuer {

  static final String NAME = "ci";
  static final String ISS = "https://ci.test";

  private static final long LIFE_SECONDS = 3600;
  private static final int RSA_BITS = 2048;

  private final JWK key;
  private final JWSAlgorithm algorithm;
  private final JWSSigner signer;

  IdentityIssuer(JWSAlgorithm algorithm) throws JOSEException {
    CryptoProvider crypto = CryptoProvider.select("auto");
    this.algorithm = algorithm;
    this.key =
        algorithm.equals(JWSAlgorithm.RS256)
            ? new RSAKeyGenerator(RSA_BITS).keyIDFromThumbprint(true).generate()
            : crypto.generate(algorithm);
    this.signer = crypto.signer(key, algorithm);
  }

  JWKSet publicKeys() {
    JWK published = key.toPublicJWK();
    return new JWKSet(
        published instanceof RSAKey rsa
            ? new RSAKey.Builder(rsa).algorithm(algorithm).build()
            : published);
  }

  /** The resource as the admin API stores it. */
  String spec() {
    return "{\"type\":\"oidc\",\"issuer\":\"%s\",\"keys\":{\"jwks\":%s}}"
        .formatted(ISS, publicKeys().toString());
  }

  /** A new token of a subject, different from every other one. */
  String token(String subject, String audience) {
    return sign(ISS, subject, audience);
  }

  /** A client assertion in the form of RFC 7523, where a client speaks for itself. */
  String clientAssertion(String client, String audience) {
    return sign(client, client, audience);
  }

  private String sign(String iss, String subject, String audience) {
    Instant now = Instant.now();
    var claims =
        new JWTClaimsSet.Builder()
            .issuer(iss)
            .subject(subject)
            .audience(List.of(audience))
            .issueTime(Date.from(now))
            .expirationTime(Date.from(now.plusSeconds(LIFE_SECONDS)))
            .jwtID(UUID.randomUUID().toString())
            .build();
    var header = new JWSHeader.Builder(algorithm).keyID(key.getKeyID()).build();
    var token = new SignedJWT(header, claims);
    try {
      token.sign(signer);
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
    return token.serialize();
  }
}
