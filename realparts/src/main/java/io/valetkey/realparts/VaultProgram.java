package io.valetkey.realparts;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** How a Vault can be had on this machine. */
sealed interface VaultProgram {

  /** The address of one that runs already; set by {@code VALETKEY_REAL_VAULT_URI}. */
  record Running(URI uri) implements VaultProgram {}

  /** A program to be started. */
  record Executable(Path path) implements VaultProgram {}

  /** An image to be started. */
  record Image(Path docker, String name) implements VaultProgram {}

  /**
   * Its address and, beside it, {@link #TOKEN}: not VAULT_ADDR, which may mean a production one.
   */
  String ADDRESS = "VALETKEY_REAL_VAULT_URI";

  /** The root token of the Vault at {@link #ADDRESS}. */
  String TOKEN = "VALETKEY_REAL_VAULT_TOKEN";

  /**
   * Looks for a Vault; builds one if there is no other way.
   *
   * @throws MissingPartException if none can be had
   */
  static VaultProgram find() {
    return running().orElseGet(VaultProgram::findOwn);
  }

  /** Looks for a Vault that we start ourselves, so that it can be frozen and ended. */
  static VaultProgram findOwn() {
    return ownAtOnce().orElseGet(() -> new Executable(Program.VAULT.built()));
  }

  /** Looks for a Vault that needs no build. */
  static Optional<VaultProgram> atOnce() {
    return running().or(VaultProgram::ownAtOnce);
  }

  private static Optional<VaultProgram> running() {
    return Optional.ofNullable(System.getenv(ADDRESS))
        .filter(address -> !address.isBlank())
        .map(address -> new Running(URI.create(address)));
  }

  private static Optional<VaultProgram> ownAtOnce() {
    Optional<Path> installed = Program.onPath("bao", "vault");
    if (installed.isPresent()) {
      return installed.map(Executable::new);
    }
    Optional<Path> docker = Program.onPath("docker").filter(VaultProgram::answers);
    if (docker.isPresent()) {
      return docker.map(path -> new Image(path, "hashicorp/vault:1.21"));
    }
    return Program.VAULT.cached().map(Executable::new);
  }

  private static boolean answers(Path docker) {
    try {
      Process process =
          new ProcessBuilder(docker.toString(), "version")
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      if (process.waitFor(5, TimeUnit.SECONDS)) {
        return process.exitValue() == 0;
      }
      process.destroyForcibly();
      return false;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
