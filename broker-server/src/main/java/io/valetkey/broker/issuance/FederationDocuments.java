package io.valetkey.broker.issuance;

import io.valetkey.broker.upstream.Federation;
import java.io.IOException;
import java.util.Map;

/**
 * What providers read of the issuer that they trust instead of a stored key: its discovery document
 * (OpenID Connect Discovery 1.0 section 4) and its key set.
 */
final class FederationDocuments extends PublishedDocuments {

  private static final long serialVersionUID = 1L;

  private final transient Federation federation;

  FederationDocuments(Federation federation) {
    super(OAuthPaths.FEDERATION_JWKS);
    this.federation = federation;
  }

  @Override
  Map<String, Object> keySet() throws IOException {
    return federation.keySet();
  }

  @Override
  Map<String, Object> metadata() throws IOException {
    return federation.metadata(federation.issuer() + OAuthPaths.FEDERATION_KEYS);
  }
}
