package io.valetkey.broker;

import io.valetkey.broker.secret.SecretValue;
import io.valetkey.broker.upstream.VaultLogin;
import io.valetkey.broker.upstream.VaultSettings;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Where Vault is and how we log in there. Vault is optional: without {@code valetkey.vault.uri}
 * nothing here exists, and whatever refers to Vault is refused when it is used.
 */
final class VaultLogon {

  private static final Duration SECOND = Duration.ofSeconds(1);
  private static final List<String> LOGINS =
      List.of("token", "kubernetes", "approle", "jwt", "cert");

  private VaultLogon() {}

  /**
   * Reads the settings, noting what is wrong with them.
   *
   * @return null if there is no Vault, or something is wrong
   */
  static @Nullable VaultSettings read(SettingsReader reader) {
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
