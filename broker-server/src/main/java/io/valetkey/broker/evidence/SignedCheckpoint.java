package io.valetkey.broker.evidence;

import io.valetkey.broker.crypto.Sha256;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.PublicKey;
import java.security.Signature;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** A checkpoint as it is stored and exported: a compact JWS. */
record SignedCheckpoint(String jws) {

  private static final JsonMapper JSON = JsonMapper.shared();

  private record Header(String alg, String typ, Map<String, String> jwk) {}

  /** SHA-256 of the JWS, in hexadecimal: what the next checkpoint names. */
  String hash() {
    return HexFormat.of().formatHex(Sha256.of(jws));
  }

  /** What it states, whoever signed it; null if it cannot be read. */
  @Nullable Checkpoint statement() {
    try {
      Checkpoint checkpoint = JSON.readValue(part(1), Checkpoint.class);
      boolean ours = checkpoint != null && Checkpoint.SCHEMA.equals(checkpoint.schema());
      return ours ? checkpoint : null;
    } catch (JacksonException | IllegalArgumentException e) {
      return null;
    }
  }

  /** Whether the signature is one by this key; null for the key that it brings along. */
  boolean isSignedBy(@Nullable PublicKey key) {
    if (key == null) {
      return isSignedByItsOwnKey();
    }
    SignatureKind kind = SignatureKind.of(key);
    Header header = header();
    if (kind == null || header == null || !kind.jose().equals(header.alg())) {
      return false;
    }
    try {
      int end = jws.lastIndexOf('.');
      Signature signature = kind.signature();
      signature.initVerify(key);
      signature.update(jws.substring(0, end).getBytes(StandardCharsets.US_ASCII));
      return signature.verify(part(2));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      return false;
    }
  }

  /** Whether it is signed by the key that it brings along, which anybody can do. */
  boolean isSignedByItsOwnKey() {
    Header header = header();
    SignatureKind kind = header == null ? null : SignatureKind.ofJose(header.alg());
    if (header == null || kind == null) {
      return false;
    }
    try {
      return isSignedBy(kind.publicKey(header.jwk()));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      return false;
    }
  }

  private @Nullable Header header() {
    try {
      Header header = JSON.readValue(part(0), Header.class);
      boolean ours = header != null && CheckpointKey.TYPE.equals(header.typ());
      return ours && header.alg() != null && header.jwk() != null ? header : null;
    } catch (JacksonException | IllegalArgumentException e) {
      return null;
    }
  }

  private byte[] part(int index) {
    String[] parts = jws.split("\\.", -1);
    if (parts.length != 3) {
      throw new IllegalArgumentException("a compact JWS has three parts");
    }
    return Base64.getUrlDecoder().decode(parts[index]);
  }
}
