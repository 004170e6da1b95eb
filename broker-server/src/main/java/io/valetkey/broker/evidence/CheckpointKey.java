package io.valetkey.broker.evidence;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/** What signs checkpoints: Ed25519 or ECDSA on P-256, as a compact JWS (RFC 7515). */
public final class CheckpointKey {

  static final String TYPE = "valetkey-checkpoint+jws";

  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Pattern BLOCK =
      Pattern.compile(
          "-----BEGIN (PRIVATE|PUBLIC) KEY-----([A-Za-z0-9+/=\\s]+)-----END \\1 KEY-----");

  private final SignatureKind kind;
  private final PrivateKey privateKey;
  private final PublicKey publicKey;
  private final boolean configured;

  private CheckpointKey(
      SignatureKind kind, PrivateKey privateKey, PublicKey publicKey, boolean configured) {
    this.kind = kind;
    this.privateKey = privateKey;
    this.publicKey = publicKey;
    this.configured = configured;
  }

  /** A key of this process alone, which ends with it. */
  public static CheckpointKey ofThisProcess() {
    try {
      KeyPair pair = SignatureKind.ED25519.generator().generateKeyPair();
      return new CheckpointKey(SignatureKind.ED25519, pair.getPrivate(), pair.getPublic(), false);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JVM has Ed25519", e);
    }
  }

  /**
   * Reads a key.
   *
   * @param file PEM with one {@code PRIVATE KEY} (PKCS #8) and one {@code PUBLIC KEY} that belongs
   *     to it
   * @throws IllegalArgumentException if it is anything else, saying what, and nothing of the key
   */
  public static CheckpointKey read(Path file) {
    String text = text(file);
    PublicKey publicKey = publicKey(text);
    SignatureKind kind = kind(publicKey);
    byte[] bytes = block(text, "PRIVATE");
    if (bytes == null) {
      throw new IllegalArgumentException("must hold a PRIVATE KEY (PKCS #8)");
    }
    try {
      PrivateKey privateKey = kind.keyFactory().generatePrivate(new PKCS8EncodedKeySpec(bytes));
      var key = new CheckpointKey(kind, privateKey, publicKey, true);
      String probe = key.sign(new byte[] {1});
      if (!new SignedCheckpoint(probe).isSignedBy(publicKey)) {
        throw new IllegalArgumentException("the two keys do not belong together");
      }
      return key;
    } catch (GeneralSecurityException | IllegalStateException e) {
      throw new IllegalArgumentException("the two keys do not belong together", e);
    }
  }

  /**
   * Reads the public half alone, which is all that an auditor needs.
   *
   * @throws IllegalArgumentException if the file holds no {@code PUBLIC KEY} of a fitting kind
   */
  public static PublicKey readPublic(Path file) {
    PublicKey key = publicKey(text(file));
    kind(key);
    return key;
  }

  private static String text(Path file) {
    try {
      return Files.readString(file, StandardCharsets.US_ASCII);
    } catch (IOException e) {
      throw new IllegalArgumentException("is not a PEM file that can be read", e);
    }
  }

  private static PublicKey publicKey(String text) {
    byte[] bytes = block(text, "PUBLIC");
    if (bytes != null) {
      for (SignatureKind kind : SignatureKind.values()) {
        try {
          return kind.keyFactory().generatePublic(new X509EncodedKeySpec(bytes));
        } catch (GeneralSecurityException e) {
          // Perhaps the next kind.
        }
      }
    }
    throw new IllegalArgumentException("must hold a PUBLIC KEY of Ed25519 or P-256");
  }

  private static SignatureKind kind(PublicKey key) {
    SignatureKind kind = SignatureKind.of(key);
    if (kind == null) {
      throw new IllegalArgumentException("must hold a PUBLIC KEY of Ed25519 or P-256");
    }
    return kind;
  }

  private static byte @Nullable [] block(String text, String which) {
    Matcher matcher = BLOCK.matcher(text);
    while (matcher.find()) {
      if (matcher.group(1).equals(which)) {
        return Base64.getMimeDecoder().decode(matcher.group(2));
      }
    }
    return null;
  }

  /** Whether it was given to us; then a signature by it says something to whoever gave it. */
  public boolean configured() {
    return configured;
  }

  /** The half that verifies. */
  public PublicKey publicKey() {
    return publicKey;
  }

  /** Signs a payload. */
  String sign(byte[] payload) {
    var header = new LinkedHashMap<String, Object>();
    header.put("alg", kind.jose());
    header.put("typ", TYPE);
    header.put("jwk", kind.jwk(publicKey));
    Base64.Encoder base64 = Base64.getUrlEncoder().withoutPadding();
    String input =
        base64.encodeToString(JSON.writeValueAsBytes(header))
            + "."
            + base64.encodeToString(payload);
    try {
      Signature signature = kind.signature();
      signature.initSign(privateKey);
      signature.update(input.getBytes(StandardCharsets.US_ASCII));
      return input + "." + base64.encodeToString(signature.sign());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("the checkpoint could not be signed", e);
    }
  }
}
