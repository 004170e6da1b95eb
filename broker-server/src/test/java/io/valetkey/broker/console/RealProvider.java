package io.valetkey.broker.console;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.proc.SecurityContext;
import jakarta.servlet.http.HttpServlet;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configuration.EnableWebSecurity;
import org.springframework.security.config.annotation.web.configuration.OAuth2AuthorizationServerConfiguration;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.filter.DelegatingFilterProxy;

/**
 * Spring Authorization Server on a socket of its own, with its own login form and two people: olga,
 * of the group platform, and nina, of none that means anything. It insists on PKCE.
 */
final class RealProvider implements AutoCloseable {

  static final String CLIENT = "valetkey-console";
  static final String SECRET = "client secret: 100% + more";

  private final Tomcat tomcat = new Tomcat();
  private final AnnotationConfigWebApplicationContext spring =
      new AnnotationConfigWebApplicationContext();

  RealProvider(Path folder) throws Exception {
    tomcat.setBaseDir(folder.toString());
    tomcat.setHostname("127.0.0.1");
    tomcat.setPort(0);
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    Context root = tomcat.addContext("", folder.toString());
    root.setParentClassLoader(RealProvider.class.getClassLoader());
    spring.register(Server.class);
    root.addServletContainerInitializer(
        (classes, servlets) -> {
          spring.setServletContext(servlets);
          spring.refresh();
          servlets.addServlet("nothing", new HttpServlet() {}).addMapping("/");
          servlets
              .addFilter("security", new DelegatingFilterProxy("springSecurityFilterChain", spring))
              .addMappingForUrlPatterns(null, false, "/*");
        },
        Set.of());
    tomcat.start();
  }

  String issuer() {
    return "http://127.0.0.1:" + tomcat.getConnector().getLocalPort();
  }

  /** The broker's port is known only once it has started. */
  void register(String redirectUri) {
    spring.getBean(InMemoryRegisteredClientRepository.class).save(client(redirectUri));
  }

  private static RegisteredClient client(String redirectUri) {
    return RegisteredClient.withId("1")
        .clientId(CLIENT)
        .clientSecret("{noop}" + SECRET)
        .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
        .authorizationGrantType(AuthorizationGrantType.AUTHORIZATION_CODE)
        .redirectUri(redirectUri)
        .scope("openid")
        .clientSettings(ClientSettings.builder().requireProofKey(true).build())
        .build();
  }

  @Override
  public void close() throws Exception {
    tomcat.stop();
    tomcat.destroy();
    spring.close();
  }

  @Configuration
  @EnableWebSecurity
  static class Server {

    @Bean
    SecurityFilterChain chain(HttpSecurity http) throws Exception {
      return http.oauth2AuthorizationServer(server -> server.oidc(Customizer.withDefaults()))
          .authorizeHttpRequests(all -> all.anyRequest().authenticated())
          .formLogin(Customizer.withDefaults())
          .build();
    }

    @Bean
    InMemoryRegisteredClientRepository clients() {
      return new InMemoryRegisteredClientRepository(client("https://not-yet.test/"));
    }

    @Bean
    UserDetailsService people() {
      return new InMemoryUserDetailsManager(
          User.withUsername("olga").password("{noop}olga-pw").authorities("platform").build(),
          User.withUsername("nina").password("{noop}nina-pw").authorities("admin").build());
    }

    @Bean
    OAuth2TokenCustomizer<JwtEncodingContext> groups() {
      return token ->
          token
              .getClaims()
              .claim(
                  "groups",
                  List.copyOf(
                      token.getPrincipal().getAuthorities().stream()
                          .map(authority -> authority.getAuthority())
                          .toList()));
    }

    @Bean
    JWKSource<SecurityContext> keys() throws JOSEException {
      return new ImmutableJWKSet<>(
          new JWKSet(new RSAKeyGenerator(2048).keyID(UUID.randomUUID().toString()).generate()));
    }

    /** For its user info, which nobody asks for here. */
    @Bean
    JwtDecoder decoder(JWKSource<SecurityContext> keys) {
      return OAuth2AuthorizationServerConfiguration.jwtDecoder(keys);
    }

    @Bean
    AuthorizationServerSettings settings() {
      return AuthorizationServerSettings.builder().build();
    }
  }
}
