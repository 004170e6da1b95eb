package io.valetkey.realparts;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Python programs for tests, in virtual environments outside the tree, made once by name. */
public final class Python {

  private Python() {}

  /**
   * The interpreter of an environment with these packages. Without Python the test is skipped with
   * the reason; with {@code CI=true} a failed installation fails it.
   */
  public static Path with(String environment, String... packages) throws Exception {
    Path home = Path.of(System.getProperty("user.home"), ".cache", "valetkey", environment);
    Path python = home.resolve("bin/python3");
    Path done = home.resolve("installed-" + String.join("-", packages));
    if (!Files.exists(done)) {
      assumeTrue(run(List.of("python3", "--version")), "SKIPPED: there is no python3 on the PATH");
      List<String> install =
          new ArrayList<>(List.of(python.toString(), "-m", "pip", "install", "-q"));
      install.addAll(List.of(packages));
      boolean made = run(List.of("python3", "-m", "venv", home.toString())) && run(install);
      if (!made && "true".equals(System.getenv("CI"))) {
        throw new MissingPartException(List.of(packages) + " could not be installed");
      }
      assumeTrue(made, "SKIPPED: could not install " + List.of(packages));
      Files.writeString(done, "");
    }
    return python;
  }

  private static boolean run(List<String> command) throws Exception {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(5, TimeUnit.MINUTES) && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
