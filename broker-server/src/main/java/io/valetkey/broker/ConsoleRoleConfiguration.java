package io.valetkey.broker;

import io.valetkey.broker.console.ConsoleConfiguration;
import io.valetkey.broker.console.ConsoleSettings;
import io.valetkey.broker.control.AdminSettings;
import io.valetkey.broker.identity.RelyingParty;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.ConfigurableEnvironment;

/** What the console needs beside the admin API. */
@Configuration(proxyBeanMethods = false)
@Conditional(OnRole.Issuer.class)
@Import(ConsoleConfiguration.class)
class ConsoleRoleConfiguration {

  private static final String OIDC = "console.oidc.";

  /** Reads the settings of this part, noting what is wrong with them. */
  static ConsoleSettings check(
      SettingsReader reader, String publicUrl, AdminSettings.@Nullable Oidc oidc) {
    Duration lifetime =
        reader.duration(
            "console.lifetime", Duration.ofHours(8), Duration.ofMinutes(1), Duration.ofDays(1));
    Duration idle =
        reader.duration(
            "console.idle", Duration.ofMinutes(30), Duration.ofSeconds(1), Duration.ofDays(1));
    if (idle.compareTo(lifetime) > 0) {
      reader.problem("console.idle", "must be at most valetkey.console.lifetime");
    }
    return new ConsoleSettings(publicUrl, idle, lifetime, provider(reader, publicUrl, oidc));
  }

  private static ConsoleSettings.@Nullable Provider provider(
      SettingsReader reader, String publicUrl, AdminSettings.@Nullable Oidc oidc) {
    String clientId = reader.text(OIDC + "client-id");
    String name = reader.text(OIDC + "name");
    Path secret = reader.file(OIDC + "client-secret-file");
    List<String> scopes = reader.list(OIDC + "scopes");
    URI jwksUri = reader.secureUrl("admin.oidc.jwks-uri");
    RelyingParty.Endpoints endpoints = endpoints(reader, jwksUri);
    if (clientId == null || oidc == null) {
      boolean some = Stream.of(name, secret, endpoints).anyMatch(Objects::nonNull);
      if (some || !scopes.isEmpty()) {
        reader.problem(OIDC + "client-id", "is missing");
      }
      return null;
    }
    if (clientId.equals(oidc.audience())) {
      reader.problem(
          OIDC + "client-id",
          "must not be valetkey.admin.oidc.audience: an ID token would open the admin API");
    }
    if (!scopes.isEmpty() && !scopes.contains("openid")) {
      reader.problem(OIDC + "scopes", "must contain openid");
    }
    return new ConsoleSettings.Provider(
        name == null ? host(oidc.issuer()) : name,
        new RelyingParty.Client(
            oidc.issuer(),
            clientId,
            secret,
            publicUrl + ConsoleSettings.CALLBACK,
            scopes.isEmpty() ? List.of("openid") : scopes,
            endpoints,
            jwksUri),
        oidc.roles());
  }

  private static RelyingParty.@Nullable Endpoints endpoints(
      SettingsReader reader, @Nullable URI jwksUri) {
    URI authorization = reader.secureUrl(OIDC + "authorization-endpoint");
    URI token = reader.secureUrl(OIDC + "token-endpoint");
    if (authorization != null && token != null && jwksUri != null) {
      return new RelyingParty.Endpoints(authorization, token, false);
    }
    if (authorization != null || token != null) {
      reader.problem(
          OIDC + "authorization-endpoint",
          "goes with token-endpoint and valetkey.admin.oidc.jwks-uri, or without them");
    }
    return null;
  }

  private static String host(String issuer) {
    return issuer.replaceFirst("^https?://", "").replaceFirst("/.*", "");
  }

  @Bean
  ConsoleSettings consoleSettings(
      ConfigurableEnvironment environment, BrokerSettings settings, AdminSettings admins) {
    return check(new SettingsReader(environment), settings.names().issuer(), admins.oidc());
  }
}
