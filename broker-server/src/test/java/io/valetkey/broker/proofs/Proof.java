package io.valetkey.broker.proofs;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.time.Instant;
import java.util.Date;
import java.util.UUID;
import java.util.function.Consumer;

/** Makes DPoP proofs (RFC 9449 section 4.2), right ones and wrong ones. */
final class Proof {

  final ECKey key;
  final JWTClaimsSet.Builder claims;
  JWSHeader.Builder header;

  private Proof(ECKey key, String uri) {
    this.key = key;
    this.header =
        new JWSHeader.Builder(JWSAlgorithm.ES256)
            .type(new JOSEObjectType("dpop+jwt"))
            .jwk(key.toPublicJWK());
    this.claims =
        new JWTClaimsSet.Builder()
            .jwtID(UUID.randomUUID().toString())
            .claim("htm", "POST")
            .claim("htu", uri)
            .issueTime(Date.from(Instant.now()));
  }

  /** A right proof for a POST to this URI, with a key of its own. */
  static Proof on(String uri) {
    return on(uri, key());
  }

  static Proof on(String uri, ECKey key) {
    return new Proof(key, uri);
  }

  static ECKey key() {
    try {
      return new ECKeyGenerator(Curve.P_256).generate();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
  }

  Proof with(Consumer<Proof> change) {
    change.accept(this);
    return this;
  }

  Proof claim(String name, Object value) {
    claims.claim(name, value);
    return this;
  }

  String sign() {
    try {
      SignedJWT proof = new SignedJWT(header.build(), claims.build());
      proof.sign(new ECDSASigner(key));
      return proof.serialize();
    } catch (JOSEException e) {
      throw new IllegalStateException(e);
    }
  }
}
