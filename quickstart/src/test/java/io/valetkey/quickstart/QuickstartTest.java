package io.valetkey.quickstart;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The walk for real, in a process of its own, as whoever tries Valetkey out runs it. Invariants:
 * P2, P6, P8.
 */
class QuickstartTest {

  private static final int STEPS = 7;

  @TempDir private Path folder;

  @Test
  void once_provesEveryStepAndLeavesNothingBehind() throws Exception {
    Path output = folder.resolve("output");
    Process process = start(output, "--once");
    try {
      assertThat(process.waitFor(4, TimeUnit.MINUTES)).as("ends by itself").isTrue();
    } finally {
      process.destroy();
      process.waitFor(30, TimeUnit.SECONDS);
    }
    String printed = Files.readString(output);

    assertThat(printed).doesNotContain("NOT PROVEN").contains("All " + STEPS + " steps proven");
    assertThat(process.exitValue()).as(printed).isZero();
    assertThat(printed.lines().filter(line -> line.matches(" ?\\d+\\. .*"))).hasSize(STEPS);
    assertThat(printed)
        .as("only masked")
        .doesNotContainPattern("sk-[0-9a-f]")
        .doesNotContain("eyJ");
    assertThat(leftBehind()).isEmpty();
  }

  @Test
  void anUnknownArgument_isRefusedAndNothingIsStarted() throws Exception {
    Path output = folder.resolve("output");
    Process process = start(output, "--onec");

    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).isEqualTo(2);
    assertThat(leftBehind()).isEmpty();
  }

  private Process start(Path output, String argument) throws IOException {
    var builder =
        new ProcessBuilder(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + folder,
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-cp",
                System.getProperty("java.class.path"),
                Quickstart.class.getName(),
                argument));
    return builder.redirectErrorStream(true).redirectOutput(Redirect.to(output.toFile())).start();
  }

  private List<Path> leftBehind() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().contains("valetkey-quickstart-")).toList();
    }
  }
}
