package io.valetkey.broker.token;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import io.valetkey.broker.secret.SecretValue;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Signs access tokens: JWS compact, type {@code at+jwt} (RFC 9068), with the key of this replica.
 */
public final class TokenMinter {

  private static final JOSEObjectType ACCESS_TOKEN = new JOSEObjectType("at+jwt");

  private final TokenSettings settings;
  private final SigningKeys keys;

  /** Signs with the current one of these keys. */
  public TokenMinter(TokenSettings settings, SigningKeys keys) {
    this.settings = settings;
    this.keys = keys;
  }

  /** Signs a token that says exactly this. */
  public SecretValue mint(AccessTokenClaims claims) {
    SigningKeys.Active key = keys.active();
    JWSHeader header =
        new JWSHeader.Builder(keys.algorithm()).type(ACCESS_TOKEN).keyID(key.kid()).build();
    SignedJWT token = new SignedJWT(header, claimsSet(claims));
    try {
      token.sign(key.signer());
    } catch (JOSEException e) {
      throw new IllegalStateException("the signing key does not sign", e);
    }
    return SecretValue.of(token.serialize());
  }

  private JWTClaimsSet claimsSet(AccessTokenClaims claims) {
    var set =
        new JWTClaimsSet.Builder()
            .issuer(settings.issuer())
            .subject(claims.workload())
            .claim("client_id", claims.agent())
            .audience(settings.audienceOf(claims.destination()))
            .issueTime(Date.from(claims.issuedAt()))
            .expirationTime(Date.from(claims.expiresAt()))
            .jwtID(claims.jti())
            .claim("scope", String.join(" ", claims.scopes()));
    Map<String, Object> wid = new LinkedHashMap<>();
    wid.put("iss", claims.issuer());
    wid.put("sub", claims.subject());
    if (claims.podUid() != null) {
      wid.put("pod_uid", claims.podUid());
    }
    set.claim("wid", wid);
    if (claims.keyThumbprint() != null) {
      set.claim("cnf", Map.of("jkt", claims.keyThumbprint()));
    }
    if (claims.certificateThumbprint() != null) {
      set.claim("cnf", Map.of("x5t#S256", claims.certificateThumbprint()));
    }
    return set.build();
  }
}
