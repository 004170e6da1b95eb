package io.valetkey.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where the servers of one run keep their settings and logs, until {@code mvn clean}. */
final class RunFolder {

  private static final Path ALL = Path.of("bench", "target", "runs");

  private RunFolder() {}

  /** A new one, below the build's own output: the log of a run that failed is worth keeping. */
  static Path make() throws IOException {
    return Files.createTempDirectory(Files.createDirectories(ALL), "run").toAbsolutePath();
  }
}
