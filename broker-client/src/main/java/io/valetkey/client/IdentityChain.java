package io.valetkey.client;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Chooses, once, how this workload proves who it is. A file that a variable names, or that is
 * present at the projected path, is meant: if it cannot be used that is a mistake to report, and
 * never a reason to go on as somebody else.
 */
final class IdentityChain {
  static final String TOKEN_FILE = "VALETKEY_TOKEN_FILE";
  static final String SPIFFE_FILE = "VALETKEY_SPIFFE_JWT_SVID_FILE";
  static final String OIDC_FILE = "VALETKEY_OIDC_TOKEN_FILE";
  static final Path PROJECTED = Path.of("/var/run/secrets/valetkey/token");

  private final Map<String, String> environment;
  private final Path projected;

  IdentityChain(Map<String, String> environment, Path projected) {
    this.environment = environment;
    this.projected = projected;
  }

  /** The first that is configured; otherwise {@code problems} says what was tried. */
  @Nullable IdentitySource choose(@Nullable IdentitySource explicit, List<String> problems) {
    if (explicit != null) {
      return explicit;
    }
    Optional<String> tokenFile = variable(TOKEN_FILE);
    if (tokenFile.isPresent()) {
      return named(TOKEN_FILE, tokenFile.get(), problems);
    }
    if (Files.exists(projected, LinkOption.NOFOLLOW_LINKS)) {
      return usable("The projected ServiceAccount token", projected, problems);
    }
    for (String name : List.of(SPIFFE_FILE, OIDC_FILE)) {
      Optional<String> file = variable(name);
      if (file.isPresent()) {
        return named(name, file.get(), problems);
      }
    }
    problems.add(nothingFound());
    return null;
  }

  private Optional<String> variable(String name) {
    return Optional.ofNullable(environment.get(name)).filter(value -> !value.isBlank());
  }

  private static @Nullable IdentitySource named(
      String variable, String file, List<String> problems) {
    return usable(variable, Path.of(file), problems);
  }

  private static @Nullable IdentitySource usable(String what, Path file, List<String> problems) {
    IdentityFile source = new IdentityFile(file);
    try {
      source.identityToken();
      return source;
    } catch (IOException e) {
      problems.add(
          what
              + " names "
              + file
              + ", which cannot be used ("
              + e.getMessage()
              + "): make it a readable file with one JWT in it, or take the setting away. Other"
              + " identities were not tried, since this one was asked for.");
      return null;
    }
  }

  private String nothingFound() {
    return "No identity of this workload was found. Tried, in this order:"
        + "\n      1. Builder.identity(…): not called; pass a source"
        + ("\n      2. " + TOKEN_FILE + ": not set; set it to a file with an identity token")
        + ("\n      3. " + projected + ": no such file; in Kubernetes, project a")
        + " serviceAccountToken volume there with the broker's public URL as its audience"
        + ("\n      4. " + SPIFFE_FILE + ": not set; set it to the JWT-SVID file that")
        + " spiffe-helper writes, or pass a SPIFFE source to Builder.identity(…)"
        + ("\n      5. " + OIDC_FILE + ": not set; set it to a file with an OIDC ID token");
  }
}
