package io.valetkey.broker.upstream;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.KeyUse;
import com.nimbusds.jose.jwk.RSAKey;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.springframework.vault.VaultException;
import org.springframework.vault.support.VaultResponse;
import org.springframework.web.client.RestClientException;
import tools.jackson.databind.json.JsonMapper;

/**
 * A signing key in a transit engine of Vault or OpenBao, which never leaves it: {@code ecdsa-p256}
 * signs ES256, {@code rsa-2048} and larger RS256. Every version of it that Vault still has is
 * published, so that what an older one signed stays good; the latest one signs. Safe for any
 * thread.
 */
public final class VaultTransit {

  /** How long the public keys are kept: a new version signs and is published so much later. */
  private static final Duration KEEP = Duration.ofSeconds(60);

  private static final Base64.Encoder URL = Base64.getUrlEncoder().withoutPadding();

  private final VaultConnection vault;
  private final String mount;
  private final String key;
  private final Clock clock;
  private volatile @Nullable Versions known;

  /** The versions of the key, the latest last. */
  private record Versions(Instant readAt, NavigableMap<Integer, JWK> keys) {}

  /**
   * Uses a key through this connection, which belongs to the caller.
   *
   * @throws IllegalArgumentException if mount or key is not a plain Vault path or name
   */
  public VaultTransit(VaultConnection vault, String mount, String key, Clock clock) {
    VaultPath.requirePath("the mount of the key", mount);
    VaultPath.requireName("the key", key);
    this.vault = vault;
    this.mount = mount;
    this.key = key;
    this.clock = clock;
  }

  /** Whether these can be the mount and the name of a key. */
  public static boolean isKey(String mount, String key) {
    return VaultPath.isPath(mount) && VaultPath.isPath(key) && key.indexOf('/') < 0;
  }

  /**
   * The public keys. Blocks if they are not known well enough; with Vault away, those that were
   * known are given.
   *
   * @throws IOException if none are known, with a sentence that says why
   */
  public List<JWK> publicKeys() throws IOException {
    return List.copyOf(versions().keys().values());
  }

  /**
   * A signed JWT in compact form (RFC 7515), its {@code kid} the thumbprint of the key (RFC 7638).
   * Blocks.
   *
   * @throws IOException if Vault does not sign, with a sentence that says why
   */
  public String sign(Map<String, Object> claims) throws IOException {
    var latest = versions().keys().lastEntry();
    JWK publicKey = latest.getValue();
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("alg", publicKey.getAlgorithm().getName());
    header.put("typ", "JWT");
    header.put("kid", publicKey.getKeyID());
    String input = part(header) + "." + part(claims);
    boolean curve = publicKey instanceof ECKey;
    Map<String, Object> body = new LinkedHashMap<>();
    body.put(
        "input", Base64.getEncoder().encodeToString(input.getBytes(StandardCharsets.US_ASCII)));
    body.put("key_version", latest.getKey());
    if (curve) {
      body.put("marshaling_algorithm", "jws");
    } else {
      body.put("signature_algorithm", "pkcs1v15");
    }
    Map<String, Object> answer = call(mount + "/sign/" + key + "/sha2-256", body);
    String[] signature = String.valueOf(answer.get("signature")).split(":", -1);
    if (signature.length != 3 || !signature[1].equals("v" + latest.getKey())) {
      throw new IOException("Vault signed with another version of the key");
    }
    return input
        + "."
        + (curve ? signature[2] : URL.encodeToString(Base64.getDecoder().decode(signature[2])));
  }

  private static String part(Map<String, Object> json) {
    return URL.encodeToString(JsonMapper.shared().writeValueAsBytes(json));
  }

  private Versions versions() throws IOException {
    Versions present = known;
    Instant now = clock.instant();
    if (present != null && now.isBefore(present.readAt().plus(KEEP))) {
      return present;
    }
    try {
      Versions read = new Versions(now, read(call(mount + "/keys/" + key, null)));
      known = read;
      return read;
    } catch (IOException e) {
      if (present != null) {
        return present;
      }
      throw e;
    }
  }

  private NavigableMap<Integer, JWK> read(Map<String, Object> data) throws IOException {
    NavigableMap<Integer, JWK> keys = new TreeMap<>();
    if (data.get("keys") instanceof Map<?, ?> versions) {
      for (var version : versions.entrySet()) {
        if (version.getValue() instanceof Map<?, ?> one
            && one.get("public_key") instanceof String pem) {
          keys.put(Integer.valueOf(String.valueOf(version.getKey())), jwk(pem));
        }
      }
    }
    if (keys.isEmpty()) {
      throw new IOException(mount + "/keys/" + key + " is no key that can sign");
    }
    return keys;
  }

  private static JWK jwk(String pem) throws IOException {
    try {
      JWK parsed = JWK.parseFromPEMEncodedObjects(pem);
      String id = parsed.computeThumbprint().toString();
      return switch (parsed) {
        case ECKey curve when curve.getCurve().equals(Curve.P_256) ->
            new ECKey.Builder(curve.toPublicJWK())
                .keyID(id)
                .keyUse(KeyUse.SIGNATURE)
                .algorithm(JWSAlgorithm.ES256)
                .build();
        case RSAKey rsa ->
            new RSAKey.Builder(rsa.toPublicJWK())
                .keyID(id)
                .keyUse(KeyUse.SIGNATURE)
                .algorithm(JWSAlgorithm.RS256)
                .build();
        default -> throw new IOException("the key is neither ecdsa-p256 nor RSA");
      };
    } catch (JOSEException e) {
      throw new IOException("the public key cannot be read", e);
    }
  }

  /** Reads if there is no body. */
  private Map<String, Object> call(String path, @Nullable Map<String, Object> body)
      throws IOException {
    try {
      VaultResponse answer =
          vault.call(
              operations -> body == null ? operations.read(path) : operations.write(path, body));
      Map<String, Object> data = answer == null ? null : answer.getData();
      if (data == null) {
        throw new IOException(path + " does not exist in Vault");
      }
      return data;
    } catch (VaultException | RestClientException e) {
      int status = VaultConnection.status(e);
      throw new IOException(
          path + ": " + (status == 0 ? "Vault did not answer" : "Vault answered " + status), e);
    }
  }
}
