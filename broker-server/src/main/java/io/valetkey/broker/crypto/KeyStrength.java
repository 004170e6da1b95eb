package io.valetkey.broker.crypto;

import com.nimbusds.jose.jwk.Curve;
import java.math.BigInteger;
import java.security.PublicKey;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.EdECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.NamedParameterSpec;
import java.util.Set;

/** Which public keys are strong enough to be believed, and cheap enough to be verified with. */
public final class KeyStrength {

  private static final int LEAST_RSA_BITS = 2048;

  /** Verifying costs more with longer keys, and whoever is verified chooses its keys. */
  private static final int MOST_RSA_BITS = 8192;

  private static final Set<Curve> CURVES = Set.of(Curve.P_256, Curve.P_384);

  private KeyStrength() {}

  /** Whether the key of a certificate will do: RSA of 2048 to 8192 bits, P-256, P-384, Ed25519. */
  public static boolean suffices(PublicKey key) {
    return switch (key) {
      case RSAPublicKey rsa -> suffices(rsa.getModulus(), rsa.getPublicExponent());
      case ECPublicKey ec -> {
        Curve curve = Curve.forECParameterSpec(ec.getParams());
        yield curve != null && CURVES.contains(curve);
      }
      case EdECPublicKey ed ->
          ed.getParams().getName().equals(NamedParameterSpec.ED25519.getName());
      default -> false;
    };
  }

  static boolean suffices(BigInteger modulus, BigInteger exponent) {
    int bits = modulus.bitLength();
    return bits >= LEAST_RSA_BITS
        && bits <= MOST_RSA_BITS
        && exponent.testBit(0)
        && exponent.bitLength() > 1
        && exponent.bitLength() <= 64
        && !Roca.suspects(modulus);
  }
}
