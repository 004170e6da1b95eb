package io.valetkey.bench.peer;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.stream.IntStream;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.core.io.ClassPathResource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.JdbcOAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.OAuth2AuthorizationService;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;

/**
 * A small Spring Authorization Server: client credentials with {@code private_key_jwt}, what it
 * issues stored over JDBC. In its favour: clients in memory (a database would be read for each
 * request), tokens signed with ES256 (its default RS256 costs more), virtual threads.
 */
@SpringBootConfiguration
@EnableAutoConfiguration
public class AuthorizationServer {

  private static final String SCHEMA =
      "org/springframework/security/oauth2/server/authorization/oauth2-authorization-schema.sql";

  /** Starts it; the settings come as arguments. */
  public static void main(String[] args) {
    SpringApplication.run(AuthorizationServer.class, args);
  }

  @Bean
  RegisteredClientRepository clients(
      @Value("${peer.clients}") int clients, @Value("${peer.jwks-url}") String jwksUrl) {
    return new InMemoryRegisteredClientRepository(
        IntStream.range(0, clients).mapToObj(n -> client("subject-" + n, jwksUrl)).toList());
  }

  private static RegisteredClient client(String name, String jwksUrl) {
    return RegisteredClient.withId(name)
        .clientId(name)
        .clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
        .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
        .scope("use")
        .clientSettings(
            ClientSettings.builder()
                .jwkSetUrl(jwksUrl)
                .tokenEndpointAuthenticationSigningAlgorithm(SignatureAlgorithm.ES256)
                .build())
        .tokenSettings(TokenSettings.builder().accessTokenTimeToLive(Duration.ofMinutes(5)).build())
        .build();
  }

  @Bean
  OAuth2AuthorizationService authorizations(
      JdbcTemplate database, RegisteredClientRepository clients) throws IOException {
    String schema = new ClassPathResource(SCHEMA).getContentAsString(StandardCharsets.UTF_8);
    database.execute(schema.replace("blob", "text")); // as its reference says for PostgreSQL
    return new JdbcOAuth2AuthorizationService(database, clients);
  }

  @Bean
  AuthorizationServerSettings names(@Value("${peer.issuer}") String issuer) {
    return AuthorizationServerSettings.builder().issuer(issuer).build();
  }

  @Bean
  JWKSource<SecurityContext> keys() throws JOSEException {
    return new ImmutableJWKSet<>(
        new JWKSet(
            new ECKeyGenerator(Curve.P_256)
                .algorithm(JWSAlgorithm.ES256)
                .keyIDFromThumbprint(true)
                .generate()));
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> signWithEs256() {
    return context -> context.getJwsHeader().algorithm(SignatureAlgorithm.ES256);
  }
}
