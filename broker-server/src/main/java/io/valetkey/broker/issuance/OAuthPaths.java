package io.valetkey.broker.issuance;

/** Where the OAuth endpoints are. */
public final class OAuthPaths {

  /** The token endpoint. */
  public static final String TOKEN = "/oauth2/token";

  /** The public keys. */
  public static final String JWKS = "/oauth2/jwks";

  /** Token introspection (RFC 7662). */
  public static final String INTROSPECT = "/oauth2/introspect";

  /** Token revocation (RFC 7009). */
  public static final String REVOKE = "/oauth2/revoke";

  /** Authorization server metadata (RFC 8414). */
  public static final String METADATA = "/.well-known/oauth-authorization-server";

  /** OpenID Connect discovery. */
  public static final String DISCOVERY = "/.well-known/openid-configuration";

  private OAuthPaths() {}
}
