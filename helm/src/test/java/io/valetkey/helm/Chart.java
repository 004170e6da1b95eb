package io.valetkey.helm;

import static org.assertj.core.api.Assertions.assertThat;

import io.valetkey.realparts.Program;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The chart of this module, driven by the real helm. */
final class Chart {

  static final Path FOLDER = Path.of("valetkey").toAbsolutePath();
  static final Path RESOURCES = Path.of("src/test/resources").toAbsolutePath();

  /** The value sets that everything is tried with. */
  static final List<String> VALUE_SETS =
      List.of("minimum", "everything", "tls-in-front", "gateway-only");

  private Chart() {}

  /** How a program ended. */
  record Ran(int code, String output) {

    String successfully() {
      assertThat(code).as(output).isZero();
      return output;
    }

    String unsuccessfully() {
      assertThat(code).as(output).isNotZero();
      return output;
    }
  }

  static String values(String set) {
    return RESOURCES.resolve("values").resolve(set + ".yaml").toString();
  }

  static Rendered render(String set, String... more) {
    return Rendered.parse(template(set, more).successfully());
  }

  /** {@code helm template} of a value set in the namespace valetkey, with further arguments. */
  static Ran template(String set, String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of("template", "v", FOLDER.toString(), "-n", "valetkey", "-f", values(set)));
    arguments.addAll(List.of(more));
    return helm(Map.of(), arguments.toArray(String[]::new));
  }

  static Ran helm(Map<String, String> environment, String... arguments) {
    return run("helm", environment, arguments);
  }

  static Ran kubectl(Map<String, String> environment, String... arguments) {
    return run("kubectl", environment, arguments);
  }

  private static Ran run(String program, Map<String, String> environment, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Program.HELM.built().resolveSibling(program).toString());
    command.addAll(List.of(arguments));
    return run(environment, command);
  }

  static Ran run(Map<String, String> environment, List<String> command) {
    try {
      Path output = Files.createTempFile("chart", ".out");
      var builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
      builder.environment().putAll(environment);
      Process process = builder.start();
      boolean ended = process.waitFor(120, TimeUnit.SECONDS);
      process.destroyForcibly();
      String text = Files.readString(output);
      Files.delete(output);
      assertThat(ended).as("%s ends: %s", command, text).isTrue();
      return new Ran(process.exitValue(), text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
