package io.valetkey.quickstart;

import io.valetkey.realparts.RealVault;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/** Where the upstream's real credential is kept: the broker may read it there, the agent never. */
sealed interface CredentialStore extends AutoCloseable {

  /** A real Vault if one can be had at once, a directory of files otherwise. */
  static CredentialStore open(PrivateFolder folder, UpstreamKey key) {
    Optional<RealVault> vault;
    try {
      vault = RealVault.startIfAtOnce();
    } catch (RuntimeException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      System.out.println("Vault did not start, so a directory of files takes its place: " + reason);
      vault = Optional.empty();
    }
    return vault.isPresent() ? Vault.filled(vault.get(), key) : Files.filled(folder, key);
  }

  /** How the broker reaches it. */
  Map<String, String> settings();

  /** How a destination refers to the credential in it. */
  Map<String, String> reference();

  /** What to say about it. */
  String description();

  @Override
  void close();

  /** Vault in development mode, with a token for the broker that can read this one secret. */
  record Vault(RealVault vault, String place) implements CredentialStore {

    private static final String FOLDER = "valetkey-quickstart";

    private static Vault filled(RealVault vault, UpstreamKey key) {
      vault.put("secret", FOLDER + "/openai", Map.of("api_key", key.reveal()));
      vault.readPolicy(FOLDER, FOLDER);
      return new Vault(vault, FOLDER + "/openai");
    }

    @Override
    public Map<String, String> settings() {
      return Map.of(
          "valetkey.vault.uri", vault.uri().toString(),
          "valetkey.vault.authentication", "token",
          "valetkey.vault.token", vault.createToken(FOLDER, Duration.ofDays(7)));
    }

    @Override
    public Map<String, String> reference() {
      return Map.of("source", "vault-kv", "mount", "secret", "path", place, "field", "api_key");
    }

    @Override
    public String description() {
      return "Vault at " + vault.uri() + ", secret/" + place;
    }

    @Override
    public void close() {
      try {
        vault.delete("secret", place); // For one that was there before us and stays.
      } catch (RuntimeException e) {
        // At Ctrl-C our own one leaves by itself, with everything in it.
      } finally {
        vault.close();
      }
    }
  }

  /** A directory that only the user of the server can read. */
  record Files(Path directory) implements CredentialStore {

    private static Files filled(PrivateFolder folder, UpstreamKey key) {
      Path directory = folder.directory("credentials");
      folder.write("credentials/openai", key.reveal());
      return new Files(directory);
    }

    @Override
    public Map<String, String> settings() {
      return Map.of("valetkey.file-source.directory", directory.toString());
    }

    @Override
    public Map<String, String> reference() {
      return Map.of("source", "file", "name", "openai");
    }

    @Override
    public String description() {
      return "files in " + directory + " (no Vault is installed here)";
    }

    @Override
    public void close() {}
  }
}
