package io.valetkey.broker.upstream;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * This installation as an OpenID Connect issuer that providers trust instead of a stored key. It is
 * another issuer than that of access tokens, with a key of its own: what a gateway can have signed
 * here is never an access token.
 */
public final class Federation {

  /** The setting that makes one. */
  public static final String SETTING = "valetkey.federation.transit-key";

  private final String issuer;
  private final VaultTransit key;

  /**
   * Describes it.
   *
   * @param issuer its {@code iss}
   * @param key what signs for it
   */
  public Federation(String issuer, VaultTransit key) {
    this.issuer = issuer;
    this.key = key;
  }

  /** Its {@code iss}, below which the discovery document is. */
  public String issuer() {
    return issuer;
  }

  /**
   * The key set (RFC 7517). Blocks.
   *
   * @throws IOException if the keys cannot be had
   */
  public Map<String, Object> keySet() throws IOException {
    return Map.of("keys", key.publicKeys().stream().map(k -> k.toJSONObject()).toList());
  }

  /** What OpenID Connect Discovery says of an issuer that only signs. */
  public Map<String, Object> metadata(String keySetAddress) throws IOException {
    Map<String, Object> metadata = new LinkedHashMap<>();
    metadata.put("issuer", issuer);
    metadata.put("jwks_uri", keySetAddress);
    metadata.put("response_types_supported", List.of("id_token"));
    metadata.put("subject_types_supported", List.of("public"));
    metadata.put(
        "id_token_signing_alg_values_supported",
        key.publicKeys().stream().map(k -> k.getAlgorithm().getName()).distinct().toList());
    return metadata;
  }

  /**
   * A signed assertion. Blocks.
   *
   * @param claims all but {@code iss}
   * @throws IOException if it cannot be had
   */
  String sign(Map<String, Object> claims) throws IOException {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("iss", issuer);
    all.putAll(claims);
    return key.sign(all);
  }
}
