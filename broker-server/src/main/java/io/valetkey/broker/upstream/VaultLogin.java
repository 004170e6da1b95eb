package io.valetkey.broker.upstream;

import io.valetkey.broker.secret.SecretValue;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How we prove to Vault who we are. Secrets are named by the file that holds them; each file is
 * read at each login, so that a renewed one is used without a restart.
 */
public sealed interface VaultLogin {

  /** A token from the settings. A class, because a record would print it. */
  final class Token implements VaultLogin {
    private final SecretValue token;

    /** Uses this token for as long as Vault accepts it; it is renewed but never revoked. */
    public Token(SecretValue token) {
      this.token = token;
    }

    SecretValue token() {
      return token;
    }
  }

  /**
   * A token that something else, such as Vault Agent, keeps in a file.
   *
   * @param file holds the token and nothing else
   */
  record TokenFile(Path file) implements VaultLogin {}

  /**
   * The Kubernetes method.
   *
   * @param mount the method's mount, usually {@code kubernetes}
   * @param role the role to log in as
   * @param jwtFile the projected ServiceAccount token
   */
  record Kubernetes(String mount, String role, Path jwtFile) implements VaultLogin {
    /** Checks the mount and the role. */
    public Kubernetes {
      VaultPath.requirePath("mount", mount);
      VaultPath.requireName("role", role);
    }
  }

  /**
   * The AppRole method, with a role id and a secret id that were handed out before.
   *
   * @param mount the method's mount, usually {@code approle}
   * @param roleId not a secret by itself
   * @param secretIdFile holds the secret id; absent if the role binds none
   */
  record AppRole(String mount, String roleId, @Nullable Path secretIdFile) implements VaultLogin {
    /** Checks the mount and the role id. */
    public AppRole {
      VaultPath.requirePath("mount", mount);
      VaultPath.requireName("role id", roleId);
    }
  }

  /**
   * The JWT method.
   *
   * @param mount the method's mount, usually {@code jwt}
   * @param role the role to log in as
   * @param jwtFile holds the token
   */
  record Jwt(String mount, String role, Path jwtFile) implements VaultLogin {
    /** Checks the mount and the role. */
    public Jwt {
      VaultPath.requirePath("mount", mount);
      VaultPath.requireName("role", role);
    }
  }

  /**
   * The TLS certificate method. The key store is read once, at start.
   *
   * @param mount the method's mount, usually {@code cert}
   * @param role the certificate role; any that fits if absent
   * @param keyStore PKCS #12, or PEM with certificate and key if the name ends in {@code .pem}
   * @param passwordFile holds the key store's password; absent for PEM
   */
  record Certificate(
      String mount, @Nullable String role, Path keyStore, @Nullable Path passwordFile)
      implements VaultLogin {
    /** Checks the mount and the role. */
    public Certificate {
      VaultPath.requirePath("mount", mount);
      if (role != null) {
        VaultPath.requireName("role", role);
      }
    }
  }
}
