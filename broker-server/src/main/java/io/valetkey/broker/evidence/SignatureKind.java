package io.valetkey.broker.evidence;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What checkpoints may be signed with, by the JDK's own providers (RFC 7518, RFC 8037). */
enum SignatureKind {
  ED25519("EdDSA", "Ed25519", "Ed25519", "302a300506032b6570032100", 32),
  P256(
      "ES256",
      "EC",
      "SHA256withECDSAinP1363Format",
      "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
      64);

  private static final HexFormat HEX = HexFormat.of();

  private final String jose;
  private final String keyAlgorithm;
  private final String signatureAlgorithm;
  private final String encodingPrefix;
  private final int encodedBytes;

  SignatureKind(String jose, String key, String signature, String prefix, int bytes) {
    this.jose = jose;
    this.keyAlgorithm = key;
    this.signatureAlgorithm = signature;
    this.encodingPrefix = prefix;
    this.encodedBytes = bytes;
  }

  /** The name in a JOSE header. */
  String jose() {
    return jose;
  }

  KeyFactory keyFactory() throws GeneralSecurityException {
    return KeyFactory.getInstance(keyAlgorithm);
  }

  KeyPairGenerator generator() throws GeneralSecurityException {
    return KeyPairGenerator.getInstance(keyAlgorithm);
  }

  Signature signature() throws GeneralSecurityException {
    return Signature.getInstance(signatureAlgorithm);
  }

  static @Nullable SignatureKind ofJose(String name) {
    return Arrays.stream(values()).filter(k -> k.jose.equals(name)).findFirst().orElse(null);
  }

  /** The kind of a public key; null if it is none that we take. */
  static @Nullable SignatureKind of(PublicKey key) {
    byte[] encoded = key.getEncoded();
    return Arrays.stream(values())
        .filter(k -> encoded.length == k.encodingPrefix.length() / 2 + k.encodedBytes)
        .filter(k -> HEX.formatHex(encoded).startsWith(k.encodingPrefix))
        .findFirst()
        .orElse(null);
  }

  /** As a JWK. */
  Map<String, String> jwk(PublicKey key) {
    byte[] encoded = key.getEncoded();
    byte[] raw = Arrays.copyOfRange(encoded, encodingPrefix.length() / 2, encoded.length);
    var jwk = new LinkedHashMap<String, String>();
    jwk.put("kty", this == P256 ? "EC" : "OKP");
    jwk.put("crv", this == P256 ? "P-256" : "Ed25519");
    jwk.put("x", base64(Arrays.copyOf(raw, 32)));
    if (this == P256) {
      jwk.put("y", base64(Arrays.copyOfRange(raw, 32, 64)));
    }
    return jwk;
  }

  /** From the members of a JWK. */
  PublicKey publicKey(Map<String, String> jwk) throws GeneralSecurityException {
    Base64.Decoder base64 = Base64.getUrlDecoder();
    String hex =
        encodingPrefix
            + HEX.formatHex(base64.decode(jwk.getOrDefault("x", "")))
            + HEX.formatHex(base64.decode(jwk.getOrDefault("y", "")));
    return keyFactory().generatePublic(new X509EncodedKeySpec(HEX.parseHex(hex)));
  }

  private static String base64(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }
}
