package io.valetkey.broker.crypto;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.OctetKeyPair;
import com.nimbusds.jose.jwk.RSAKey;
import java.util.Map;

/** Whether a key may be used with an algorithm (RFC 7518 sections 3.3 to 3.5, RFC 8037). */
final class KeyFit {

  private static final Map<JWSAlgorithm, Curve> EC_CURVES =
      Map.of(
          JWSAlgorithm.ES256, Curve.P_256,
          JWSAlgorithm.ES384, Curve.P_384,
          JWSAlgorithm.ES512, Curve.P_521);

  private KeyFit() {}

  static void require(JWK key, JWSAlgorithm alg) throws JOSEException {
    boolean fits =
        switch (key) {
          case ECKey ec -> ec.getCurve().equals(EC_CURVES.get(alg));
          case OctetKeyPair okp ->
              okp.getCurve().equals(Curve.Ed25519)
                  && (alg.equals(JWSAlgorithm.EdDSA) || alg.equals(JWSAlgorithm.Ed25519))
                  && okp.getDecodedX().length == 32;
          case RSAKey rsa -> JWSAlgorithm.Family.RSA.contains(alg) && strong(rsa);
          default -> false;
        };
    if (!fits) {
      throw new JOSEException("the key does not fit the algorithm, or is too weak");
    }
  }

  private static boolean strong(RSAKey rsa) {
    return KeyStrength.suffices(
        rsa.getModulus().decodeToBigInteger(), rsa.getPublicExponent().decodeToBigInteger());
  }
}
