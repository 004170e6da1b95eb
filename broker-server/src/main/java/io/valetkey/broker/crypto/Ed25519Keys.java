package io.valetkey.broker.crypto;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.OctetKeyPair;
import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.HexFormat;

/** JWKs of type OKP (RFC 8037) as JCA keys, by way of the fixed DER prefixes of RFC 8410. */
final class Ed25519Keys {

  private static final byte[] SPKI = HexFormat.of().parseHex("302a300506032b6570032100");
  private static final byte[] PKCS8 = HexFormat.of().parseHex("302e020100300506032b657004220420");

  private Ed25519Keys() {}

  static PublicKey publicKey(OctetKeyPair jwk) throws JOSEException {
    try {
      return KeyFactory.getInstance("Ed25519")
          .generatePublic(new X509EncodedKeySpec(join(SPKI, jwk.getDecodedX())));
    } catch (GeneralSecurityException e) {
      throw new JOSEException("not an Ed25519 public key", e);
    }
  }

  static PrivateKey privateKey(OctetKeyPair jwk) throws JOSEException {
    try {
      return KeyFactory.getInstance("Ed25519")
          .generatePrivate(new PKCS8EncodedKeySpec(join(PKCS8, jwk.getDecodedD())));
    } catch (GeneralSecurityException e) {
      throw new JOSEException("not an Ed25519 private key", e);
    }
  }

  private static byte[] join(byte[] prefix, byte[] key) throws JOSEException {
    if (key.length != 32) {
      throw new JOSEException("an Ed25519 key has 32 bytes");
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream(prefix.length + key.length);
    out.writeBytes(prefix);
    out.writeBytes(key);
    return out.toByteArray();
  }
}
