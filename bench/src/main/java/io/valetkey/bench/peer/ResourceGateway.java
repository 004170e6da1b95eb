package io.valetkey.bench.peer;

import com.amazon.corretto.crypto.provider.AmazonCorrettoCryptoProvider;
import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.cloud.gateway.route.RouteLocator;
import org.springframework.cloud.gateway.route.builder.RouteLocatorBuilder;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.web.server.ServerHttpSecurity;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtClaimNames;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusReactiveJwtDecoder;
import org.springframework.security.oauth2.jwt.ReactiveJwtDecoder;
import org.springframework.security.web.server.SecurityWebFilterChain;

/**
 * A small Spring Cloud Gateway that is a resource server: signature, audience and end of the token
 * are checked, and its {@code Authorization} is replaced by a fixed one. In its favour: one route,
 * no session, the same fast provider of cryptography that the broker has.
 */
@SpringBootConfiguration
@EnableAutoConfiguration
public class ResourceGateway {

  /** Starts it; the settings come as arguments. */
  public static void main(String[] args) {
    AmazonCorrettoCryptoProvider.install();
    SpringApplication.run(ResourceGateway.class, args);
  }

  @Bean
  RouteLocator routes(
      RouteLocatorBuilder builder,
      @Value("${peer.upstream}") String upstream,
      @Value("${peer.authorization}") String authorization) {
    return builder
        .routes()
        .route(
            "provider",
            route ->
                route
                    .path("/**")
                    .filters(filters -> filters.setRequestHeader("Authorization", authorization))
                    .uri(upstream))
        .build();
  }

  @Bean
  SecurityWebFilterChain security(ServerHttpSecurity http) {
    return http.authorizeExchange(exchanges -> exchanges.anyExchange().authenticated())
        .csrf(ServerHttpSecurity.CsrfSpec::disable)
        .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
        .build();
  }

  @Bean
  ReactiveJwtDecoder tokens(
      @Value("${peer.keys-url}") String keysUrl, @Value("${peer.audience}") String audience) {
    NimbusReactiveJwtDecoder decoder =
        NimbusReactiveJwtDecoder.withJwkSetUri(keysUrl)
            .jwsAlgorithm(SignatureAlgorithm.ES256)
            .validateType(false) // ours are at+jwt
            .build();
    decoder.setJwtValidator(
        new DelegatingOAuth2TokenValidator<Jwt>(
            new JwtTimestampValidator(),
            new JwtClaimValidator<List<String>>(
                JwtClaimNames.AUD, audiences -> List.of(audience).equals(audiences))));
    return decoder;
  }
}
