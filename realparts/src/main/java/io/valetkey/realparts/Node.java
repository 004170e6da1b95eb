package io.valetkey.realparts;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Packages of Node for tests, in folders outside the tree, made once by name. */
public final class Node {

  private Node() {}

  /**
   * The folder of modules in which these packages are, for {@code NODE_PATH}. Without Node and npm
   * the test is skipped with the reason; with {@code CI=true} a failed installation fails it.
   */
  public static Path with(String environment, String... packages) throws Exception {
    Path home = Path.of(System.getProperty("user.home"), ".cache", "valetkey", environment);
    Path done = home.resolve("installed-" + String.join("-", packages).replace('/', '-'));
    if (!Files.exists(done)) {
      assumeTrue(
          Program.onPath("node").isPresent() && Program.onPath("npm").isPresent(),
          "SKIPPED: there is no node or no npm on the PATH");
      Files.createDirectories(home);
      boolean made = install(home, packages);
      if (!made && "true".equals(System.getenv("CI"))) {
        throw new MissingPartException(List.of(packages) + " could not be installed");
      }
      assumeTrue(made, "SKIPPED: could not install " + List.of(packages));
      Files.writeString(done, "");
    }
    return home.resolve("node_modules");
  }

  private static boolean install(Path home, String... packages) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"));
    command.add(home.toString());
    command.addAll(List.of(packages));
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(home.toFile())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(5, TimeUnit.MINUTES) && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
