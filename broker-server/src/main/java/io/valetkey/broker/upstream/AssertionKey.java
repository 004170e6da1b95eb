package io.valetkey.broker.upstream;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.RSAKey;
import io.valetkey.broker.secret.SecretValue;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.RSAPrivateKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.text.ParseException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A private key that signs assertions about ourselves (RFC 7523): RS256 with RSA, ES256, ES384 or
 * ES512 with a curve of NIST. As PEM, in PKCS#8 or, as GitHub hands them out, in PKCS#1; or as a
 * JWK (RFC 7517).
 */
final class AssertionKey {

  private static final Pattern PEM =
      Pattern.compile(
          "\\s*-----BEGIN ((?:RSA )?PRIVATE KEY)-----([A-Za-z0-9+/=\\s]+)-----END \\1-----\\s*");
  private static final int SMALLEST_RSA = 2048;
  private static final Base64.Encoder URL = Base64.getUrlEncoder().withoutPadding();

  private final PrivateKey key;
  private final String algorithm;
  private final String signature;
  private final @Nullable String keyId;

  private AssertionKey(PrivateKey key, @Nullable String keyId) throws GeneralSecurityException {
    this.key = key;
    this.keyId = keyId;
    switch (key) {
      case RSAPrivateKey rsa when rsa.getModulus().bitLength() >= SMALLEST_RSA -> {
        algorithm = "RS256";
        signature = "SHA256withRSA";
      }
      case ECPrivateKey curve -> {
        int bits = curve.getParams().getOrder().bitLength();
        String hash =
            switch (bits) {
              case 256 -> "256";
              case 384 -> "384";
              case 521 -> "512";
              default -> throw new GeneralSecurityException("the curve is none of NIST's");
            };
        algorithm = "ES" + hash;
        signature = "SHA" + hash + "withECDSAinP1363Format";
      }
      default -> throw new GeneralSecurityException("the key is of no kind that fits");
    }
  }

  /**
   * Reads a key.
   *
   * @throws GeneralSecurityException if it is none that fits; the message does not contain it
   */
  @SuppressWarnings("UnusedException") // a cause of a parser may quote the key
  static AssertionKey parse(SecretValue text) throws GeneralSecurityException {
    String written = text.reveal();
    if (written.stripLeading().startsWith("{")) {
      try {
        JWK jwk = JWK.parse(written);
        PrivateKey key =
            switch (jwk) {
              case RSAKey rsa when rsa.isPrivate() -> rsa.toPrivateKey();
              case ECKey curve when curve.isPrivate() -> curve.toPrivateKey();
              default -> throw new GeneralSecurityException("the JWK is no private key that fits");
            };
        return new AssertionKey(key, jwk.getKeyID());
      } catch (ParseException | JOSEException e) {
        throw new GeneralSecurityException("the JWK cannot be read");
      }
    }
    var pem = PEM.matcher(written);
    if (!pem.matches()) {
      throw new GeneralSecurityException("it is neither a private key as PEM nor a JWK");
    }
    try {
      byte[] der = Base64.getMimeDecoder().decode(pem.group(2));
      return new AssertionKey(pem.group(1).startsWith("RSA") ? rsa(pkcs8(der)) : either(der), null);
    } catch (IllegalArgumentException e) {
      throw new GeneralSecurityException("the PEM is not base64");
    }
  }

  /**
   * A signed JWT in compact form (RFC 7515).
   *
   * @param named the name of the key that the provider knows it by; that of the JWK if null
   */
  String sign(Map<String, Object> claims, @Nullable String named) throws GeneralSecurityException {
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("alg", algorithm);
    header.put("typ", "JWT");
    String kid = named == null ? keyId : named;
    if (kid != null) {
      header.put("kid", kid);
    }
    String input = part(header) + "." + part(claims);
    Signature signer = Signature.getInstance(signature);
    signer.initSign(key);
    signer.update(input.getBytes(StandardCharsets.US_ASCII));
    return input + "." + URL.encodeToString(signer.sign());
  }

  private static String part(Map<String, Object> json) {
    return URL.encodeToString(JsonMapper.shared().writeValueAsBytes(json));
  }

  private static PrivateKey either(byte[] der) throws GeneralSecurityException {
    try {
      return rsa(der);
    } catch (GeneralSecurityException e) {
      return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
    }
  }

  private static PrivateKey rsa(byte[] der) throws GeneralSecurityException {
    return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
  }

  /** PKCS#8 around PKCS#1 (RFC 5958): version 0, rsaEncryption, the key as an octet string. */
  private static byte[] pkcs8(byte[] pkcs1) {
    byte[] algorithm = {
      0x02,
      0x01,
      0x00,
      0x30,
      0x0d,
      0x06,
      0x09,
      0x2a,
      (byte) 0x86,
      0x48,
      (byte) 0x86,
      (byte) 0xf7,
      0x0d,
      0x01,
      0x01,
      0x01,
      0x05,
      0x00
    };
    byte[] key = element((byte) 0x04, pkcs1);
    return element(
        (byte) 0x30,
        ByteBuffer.allocate(algorithm.length + key.length).put(algorithm).put(key).array());
  }

  private static byte[] element(byte tag, byte[] content) {
    // Keys are longer than 255 bytes and shorter than 64 KiB: the length takes two bytes.
    return ByteBuffer.allocate(content.length + 4)
        .put(tag)
        .put((byte) 0x82)
        .putShort((short) content.length)
        .put(content)
        .array();
  }
}
