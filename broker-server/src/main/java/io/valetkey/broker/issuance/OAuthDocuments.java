package io.valetkey.broker.issuance;

import com.nimbusds.jose.jwk.JWK;
import io.valetkey.broker.identity.TrustedIssuer;
import io.valetkey.broker.token.DpopProofs;
import io.valetkey.broker.token.SigningKeys;
import io.valetkey.broker.token.TokenSettings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The documents that tell others how to use our tokens: the key set (RFC 7517) and the metadata
 * (RFC 8414, OpenID Connect Discovery). They name what works and nothing else.
 */
final class OAuthDocuments extends PublishedDocuments {

  private static final long serialVersionUID = 1L;

  private final transient SigningKeys keys;
  private final transient TokenSettings settings;
  private final transient @Nullable String mtlsUrl;

  /**
   * Makes the documents.
   *
   * @param mtlsUrl where client certificates are asked for; null if nowhere
   */
  OAuthDocuments(SigningKeys keys, TokenSettings settings, @Nullable String mtlsUrl) {
    super(OAuthPaths.JWKS);
    this.mtlsUrl = mtlsUrl;
    this.keys = keys;
    this.settings = settings;
  }

  @Override
  Map<String, Object> keySet() {
    return Map.of("keys", keys.published().stream().map(JWK::toJSONObject).toList());
  }

  @Override
  Map<String, Object> metadata() {
    String issuer = settings.issuer();
    Map<String, Object> metadata = new LinkedHashMap<>();
    metadata.put("issuer", issuer);
    metadata.put("token_endpoint", issuer + OAuthPaths.TOKEN);
    metadata.put("jwks_uri", issuer + OAuthPaths.JWKS);
    metadata.put("introspection_endpoint", issuer + OAuthPaths.INTROSPECT);
    metadata.put("revocation_endpoint", issuer + OAuthPaths.REVOKE);
    metadata.put("response_types_supported", List.of());
    metadata.put(
        "grant_types_supported",
        List.of("client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"));
    metadata.put(
        "token_endpoint_auth_methods_supported",
        mtlsUrl == null
            ? List.of("private_key_jwt", "none")
            : List.of("private_key_jwt", "none", "tls_client_auth", "spiffe_x509"));
    if (mtlsUrl != null) {
      // RFC 8705 sections 3.3 and 5
      metadata.put("tls_client_certificate_bound_access_tokens", true);
      metadata.put("mtls_endpoint_aliases", Map.of("token_endpoint", mtlsUrl + OAuthPaths.TOKEN));
    }
    metadata.put(
        "token_endpoint_auth_signing_alg_values_supported",
        List.copyOf(new TreeSet<>(TrustedIssuer.ASYMMETRIC)));
    metadata.put("introspection_endpoint_auth_methods_supported", List.of("private_key_jwt"));
    metadata.put("revocation_endpoint_auth_methods_supported", List.of("none"));
    metadata.put(
        "dpop_signing_alg_values_supported", List.copyOf(new TreeSet<>(DpopProofs.ALGORITHMS)));
    metadata.put("subject_types_supported", List.of("public"));
    metadata.put("id_token_signing_alg_values_supported", List.of(keys.algorithm().getName()));
    return metadata;
  }
}
