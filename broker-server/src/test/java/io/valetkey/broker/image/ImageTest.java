package io.valetkey.broker.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.valetkey.broker.image.ImageProcess.Start;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The container image that {@code tools/build-image} has built: what is in it, and that it works as
 * its own user on a read-only root. Skipped where it was not built, or may not be run.
 */
class ImageTest {

  private static final Pattern PROGRAM = Pattern.compile("/(s?bin|usr/s?bin|opt/java/bin)/.*");

  @TempDir private Path folder;
  private ImageRoot image;

  @BeforeEach
  void unpack() throws Exception {
    assumeThat(ImageRoot.isBuilt()).as("tools/build-image was run").isTrue();
    assumeThat(ImageRoot.mayBeRun()).as("run by root").isTrue();
    image = ImageRoot.unpack(folder);
  }

  @Test
  void image_holdsOneProgramAndNoShell() throws Exception {
    List<String> programs =
        image.files().stream().filter(file -> PROGRAM.matcher(file).matches()).toList();

    assertThat(programs).containsExactly("/opt/java/bin/java");
    assertThat(image.user()).isEqualTo("65532:65532");
  }

  @Test
  void image_holdsItsBillOfMaterials() throws Exception {
    JsonNode bill =
        JsonMapper.shared()
            .readTree(Files.readString(image.folder().resolve("usr/share/valetkey/sbom.cdx.json")));
    List<String> listed =
        bill.required("components")
            .valueStream()
            .map(c -> c.required("name").asString() + "-" + c.required("version").asString())
            .toList();
    List<String> jars =
        image.files().stream()
            .filter(file -> file.startsWith("/app/libs/"))
            .map(file -> file.substring("/app/libs/".length(), file.length() - ".jar".length()))
            .toList();

    assertThat(jars).hasSizeGreaterThan(50);
    assertThat(jars).allSatisfy(jar -> assertThat(listed).anyMatch(jar::startsWith));
  }

  @Test
  void bothRoles_workAsTheirUserOnAReadOnlyRoot() throws Exception {
    Start how =
        image.files().contains("/app/valetkey.aot") ? Start.ONLY_WITH_CACHE : Start.AS_IT_IS;
    try (var stage = new ImageStage(folder);
        ImageProcess issuer = stage.start(image, "issuer", how)) {
      issuer.awaitReady();
      try (ImageProcess gateway = stage.start(image, "gateway", how)) {
        gateway.awaitReady();
        stage.writePolicy();
        stage.walk(20);

        requireConfined(issuer.java().pid());
        requireConfined(gateway.java().pid());
        gateway.terminate();
      }
      issuer.terminate();
      assertThat(issuer.log()).doesNotContain("WARNING").contains("Cryptography by");
    }
  }

  /** As the kernel says it. */
  private static void requireConfined(long pid) throws Exception {
    String status = Files.readString(Path.of("/proc/" + pid + "/status"));
    assertThat(status)
        .containsPattern("Uid:\\s+65532\\s+65532\\s+65532\\s+65532")
        .containsPattern("CapEff:\\s+0{16}")
        .containsPattern("NoNewPrivs:\\s+1");
    List<String> writable =
        Files.readAllLines(Path.of("/proc/" + pid + "/mountinfo")).stream()
            .map(line -> line.split(" "))
            .filter(mount -> mount[5].startsWith("rw"))
            .map(mount -> mount[4])
            .filter(point -> !point.startsWith("/dev") && !point.startsWith("/proc"))
            .toList();
    assertThat(writable).containsExactly("/tmp");
  }
}
