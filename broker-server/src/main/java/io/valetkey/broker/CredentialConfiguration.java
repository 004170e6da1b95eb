package io.valetkey.broker;

import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.CredentialSettings;
import io.valetkey.broker.upstream.CredentialSource;
import io.valetkey.broker.upstream.FileSource;
import io.valetkey.broker.upstream.UpstreamCredentials;
import io.valetkey.broker.upstream.VaultConnection;
import io.valetkey.broker.upstream.VaultKvSource;
import io.valetkey.broker.upstream.VaultLogin;
import io.valetkey.broker.upstream.VaultSettings;
import java.net.URI;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.ConfigurableEnvironment;

/**
 * Where real credentials come from. Vault is optional: without {@code valetkey.vault.uri} a
 * destination that refers to it is refused when it is used, and says why.
 */
@Configuration(proxyBeanMethods = false)
class CredentialConfiguration {

  private static final Duration SECOND = Duration.ofSeconds(1);
  private static final List<String> LOGINS =
      List.of("token", "kubernetes", "approle", "jwt", "cert");

  @Bean
  UpstreamCredentials upstreamCredentials(
      BrokerSettings settings, ConfigurableEnvironment environment, Clock clock) {
    var reader = new SettingsReader(environment);
    Path directory = settings.fileSource();
    VaultSettings vault = vault(reader);
    return new UpstreamCredentials(
        directory == null
            ? CredentialSource.unconfigured("valetkey.file-source.directory")
            : new FileSource(directory),
        vault == null
            ? CredentialSource.unconfigured("valetkey.vault.uri")
            : new VaultKvSource(new VaultConnection(vault)),
        credentials(reader),
        clock);
  }

  /** Reads the settings of this part, noting what is wrong with them. */
  static void check(SettingsReader reader) {
    credentials(reader);
    vault(reader);
  }

  private static CredentialSettings credentials(SettingsReader reader) {
    CredentialSettings defaults = CredentialSettings.defaults();
    Duration ttl =
        reader.duration("credential.ttl", defaults.ttl(), SECOND, CredentialSettings.MAX_AGE);
    Duration interval = defaults.refreshInterval();
    return new CredentialSettings(
        ttl,
        reader.duration(
            "credential.deadline", defaults.deadline(), SECOND, SECOND.multipliedBy(30)),
        interval.compareTo(ttl) > 0 ? ttl : interval,
        defaults.maxEntries());
  }

  /** How Vault is reached, or null without {@code valetkey.vault.uri}. */
  static @Nullable VaultSettings vault(SettingsReader reader) {
    String uri = reader.text("vault.uri");
    String method = reader.text("vault.authentication", "token");
    int problems = reader.problems().size();
    if (!LOGINS.contains(method)) {
      reader.problem("vault.authentication", "must be one of " + LOGINS);
    }
    VaultLogin login = login(reader, method, uri != null);
    String namespace = reader.text("vault.namespace");
    String ca = reader.text("vault.ca-certificate");
    Duration timeout =
        reader.duration("vault.timeout", SECOND.multipliedBy(3), SECOND, SECOND.multipliedBy(30));
    int calls = reader.number("vault.max-concurrent-calls", 16, 1, 256);
    if (uri == null || login == null || reader.problems().size() > problems) {
      return null;
    }
    try {
      return new VaultSettings(
          URI.create(uri), login, namespace, ca == null ? null : Path.of(ca), timeout, calls);
    } catch (IllegalArgumentException e) {
      reader.problem("vault", String.valueOf(e.getMessage()));
      return null;
    }
  }

  /** Reads every setting of every method, so that those of another method are known, and unused. */
  private static @Nullable VaultLogin login(SettingsReader reader, String method, boolean used) {
    String token = reader.text("vault.token");
    String tokenFile = reader.text("vault.token-file");
    String mount = reader.text("vault.mount", method);
    String role = reader.text("vault.role");
    String jwtFile = reader.text("vault.jwt-file");
    String roleId = reader.text("vault.role-id");
    String secretIdFile = reader.text("vault.secret-id-file");
    String keyStore = reader.text("vault.key-store");
    String passwordFile = reader.text("vault.key-store-password-file");
    if (!used) {
      return null;
    }
    try {
      return switch (method) {
        case "kubernetes" ->
            new VaultLogin.Kubernetes(
                mount,
                need(role, "vault.role"),
                Path.of(
                    Objects.requireNonNullElse(
                        jwtFile, "/var/run/secrets/kubernetes.io/serviceaccount/token")));
        case "approle" ->
            new VaultLogin.AppRole(mount, need(roleId, "vault.role-id"), path(secretIdFile));
        case "jwt" ->
            new VaultLogin.Jwt(
                mount, need(role, "vault.role"), Path.of(need(jwtFile, "vault.jwt-file")));
        case "cert" ->
            new VaultLogin.Certificate(
                mount, role, Path.of(need(keyStore, "vault.key-store")), path(passwordFile));
        default ->
            tokenFile != null
                ? new VaultLogin.TokenFile(Path.of(tokenFile))
                : new VaultLogin.Token(SecretValue.of(need(token, "vault.token")));
      };
    } catch (IllegalArgumentException e) {
      reader.problem("vault.authentication=" + method, String.valueOf(e.getMessage()));
      return null;
    }
  }

  private static @Nullable Path path(@Nullable String text) {
    return text == null ? null : Path.of(text);
  }

  private static String need(@Nullable String value, String setting) {
    if (value == null) {
      throw new IllegalArgumentException("valetkey." + setting + " is missing");
    }
    return value;
  }
}
