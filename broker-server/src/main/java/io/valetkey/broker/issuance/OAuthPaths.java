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

  /** What follows our own identifier in that of the issuer that providers trust. */
  public static final String FEDERATION = "/federation";

  /** Its keys, below its identifier. */
  static final String FEDERATION_KEYS = "/jwks";

  /** Its keys. */
  public static final String FEDERATION_JWKS = FEDERATION + FEDERATION_KEYS;

  /** Its OpenID Connect discovery. */
  public static final String FEDERATION_DISCOVERY = FEDERATION + DISCOVERY;

  /** Leased credentials; each lease has a path below it. */
  public static final String LEASES = "/v1/leases";

  /** Leased credentials in the shape of the AWS container credentials; a destination each. */
  public static final String AWS_CREDENTIALS = "/v1/aws-credentials";

  private OAuthPaths() {}

  /** Whether the path is that of one of these endpoints. */
  public static boolean isOne(String path) {
    return switch (path) {
      case TOKEN,
          JWKS,
          INTROSPECT,
          REVOKE,
          METADATA,
          DISCOVERY,
          FEDERATION_JWKS,
          FEDERATION_DISCOVERY,
          LEASES ->
          true;
      default -> path.startsWith(LEASES + "/") || path.startsWith(AWS_CREDENTIALS + "/");
    };
  }
}
