package io.valetkey.broker.upstream;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.AppRoleAuthentication;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions.RoleId;
import org.springframework.vault.authentication.AppRoleAuthenticationOptions.SecretId;
import org.springframework.vault.authentication.ClientAuthentication;
import org.springframework.vault.authentication.ClientCertificateAuthentication;
import org.springframework.vault.authentication.ClientCertificateAuthenticationOptions;
import org.springframework.vault.authentication.JwtAuthentication;
import org.springframework.vault.authentication.JwtAuthenticationOptions;
import org.springframework.vault.authentication.KubernetesAuthentication;
import org.springframework.vault.authentication.KubernetesAuthenticationOptions;
import org.springframework.vault.support.VaultToken;
import org.springframework.web.client.RestOperations;

/** Turns a {@link VaultLogin} into one that is performed: the files are read at each login. */
final class VaultLogins {

  private VaultLogins() {}

  static ClientAuthentication of(VaultLogin login, RestOperations client) {
    return switch (login) {
      case VaultLogin.Token given -> () -> VaultToken.of(given.token().reveal());
      case VaultLogin.TokenFile file -> () -> VaultToken.of(text(file.file()));
      case VaultLogin.Kubernetes kubernetes -> kubernetes(kubernetes, client);
      case VaultLogin.AppRole appRole -> appRole(appRole, client);
      case VaultLogin.Jwt jwt -> jwt(jwt, client);
      case VaultLogin.Certificate certificate -> certificate(certificate, client);
    };
  }

  /** The file's text without surrounding white space. */
  static String text(Path file) {
    try {
      String text = Files.readString(file).strip();
      if (text.isEmpty()) {
        throw new VaultException("the file for the Vault login is empty: " + file.getFileName());
      }
      return text;
    } catch (IOException e) {
      throw new VaultException(
          "the file for the Vault login cannot be read: " + file.getFileName(), e);
    }
  }

  private static ClientAuthentication kubernetes(
      VaultLogin.Kubernetes login, RestOperations client) {
    return new KubernetesAuthentication(
        KubernetesAuthenticationOptions.builder()
            .path(login.mount())
            .role(login.role())
            .jwtSupplier(() -> text(login.jwtFile()))
            .build(),
        client);
  }

  private static ClientAuthentication jwt(VaultLogin.Jwt login, RestOperations client) {
    return new JwtAuthentication(
        JwtAuthenticationOptions.builder()
            .path(login.mount())
            .role(login.role())
            .jwtSupplier(() -> text(login.jwtFile()))
            .build(),
        client);
  }

  // Its options hold the secret id itself, so they are made anew for each login.
  private static ClientAuthentication appRole(VaultLogin.AppRole login, RestOperations client) {
    Path secretIdFile = login.secretIdFile();
    return () -> {
      var options =
          AppRoleAuthenticationOptions.builder()
              .path(login.mount())
              .roleId(RoleId.provided(login.roleId()));
      if (secretIdFile != null) {
        options.secretId(SecretId.provided(text(secretIdFile)));
      }
      return new AppRoleAuthentication(options.build(), client).login();
    };
  }

  private static ClientAuthentication certificate(
      VaultLogin.Certificate login, RestOperations client) {
    var options = ClientCertificateAuthenticationOptions.builder().path(login.mount());
    String role = login.role();
    if (role != null) {
      options.role(role);
    }
    return new ClientCertificateAuthentication(options.build(), client);
  }
}
