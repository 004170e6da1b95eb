package io.valetkey.broker.control;

import io.valetkey.broker.control.AdminSettings.Oidc;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.jwt.SupplierJwtDecoder;
import org.springframework.web.client.RestTemplate;

/**
 * Admins as their identity provider knows them. The provider is first asked when the first token
 * arrives, so that this server starts while the provider is away.
 */
public final class OidcAdmins {

  private static final Duration LEEWAY = Duration.ofSeconds(5);
  private static final Duration PATIENCE = Duration.ofSeconds(1);
  private static final OAuth2Error REFUSED = new OAuth2Error("invalid_token");

  private final JwtDecoder decoder;
  private final RoleClaim roleClaim;

  /** Trusts the tokens of a provider that are meant for us. */
  public OidcAdmins(Oidc oidc) {
    this.roleClaim = oidc.roles();
    OAuth2TokenValidator<Jwt> validator = validator(oidc);
    this.decoder =
        new SupplierJwtDecoder(() -> {
          NimbusJwtDecoder made = decoder(oidc);
          made.setJwtValidator(validator);
          return made;
        });
  }

  private static NimbusJwtDecoder decoder(Oidc oidc) {
    var builder =
        oidc.jwksUri() == null
            ? NimbusJwtDecoder.withIssuerLocation(oidc.issuer())
            : NimbusJwtDecoder.withJwkSetUri(oidc.jwksUri());
    // All that Spring knows are asymmetric; HS256 and the like are another type.
    return builder
        .jwsAlgorithms(all -> all.addAll(List.of(SignatureAlgorithm.values())))
        .restOperations(boundedHttp())
        .build();
  }

  private static RestTemplate boundedHttp() {
    var requests = new SimpleClientHttpRequestFactory();
    requests.setConnectTimeout(PATIENCE);
    requests.setReadTimeout(PATIENCE);
    return new RestTemplate(requests);
  }

  private static OAuth2TokenValidator<Jwt> validator(Oidc oidc) {
    var time = new JwtTimestampValidator(LEEWAY);
    time.setAllowEmptyExpiryClaim(false);
    OAuth2TokenValidator<Jwt> audience =
        jwt ->
            jwt.getAudience() != null && jwt.getAudience().contains(oidc.audience())
                ? OAuth2TokenValidatorResult.success()
                : OAuth2TokenValidatorResult.failure(REFUSED);
    OAuth2TokenValidator<Jwt> subject =
        jwt ->
            jwt.getSubject() == null || jwt.getSubject().isBlank() || jwt.getExpiresAt() == null
                ? OAuth2TokenValidatorResult.failure(REFUSED)
                : OAuth2TokenValidatorResult.success();
    return new DelegatingOAuth2TokenValidator<>(
        time, new JwtIssuerValidator(oidc.issuer()), audience, subject);
  }

  /**
   * The admin that a token stands for, with every role that we know.
   *
   * @throws org.springframework.security.oauth2.jwt.BadJwtException if the token is not acceptable
   * @throws org.springframework.security.oauth2.jwt.JwtException if the provider does not answer
   */
  public Admin authenticate(String token) {
    Jwt jwt = decoder.decode(token);
    return new Admin(
        Objects.requireNonNull(jwt.getSubject()), roleClaim.roles(jwt.getClaims()), null);
  }
}
