package io.valetkey.broker.image;

import io.valetkey.broker.image.ImageProcess.Start;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Makes the AOT cache of the image: both roles in one process of the unpacked image, at work, and
 * then the cache from what was recorded. {@code tools/build-image} calls it by name; it is no test.
 */
class ImageTraining {

  private static final Path CACHE = Path.of("target", "image", "cache", "app");
  private static final int EXCHANGES = 300;

  @TempDir private Path folder;

  @Test
  void train() throws Exception {
    ImageRoot image = ImageRoot.unpack(folder);
    try (var stage = new ImageStage(folder)) {
      try (ImageProcess broker = stage.start(image, "issuer,gateway", Start.RECORDING)) {
        broker.awaitReady();
        stage.writePolicy();
        stage.walk(EXCHANGES);
        broker.terminate();
      }
      ImageProcess.assemble(image, stage.tmp(), stage.secrets());
      Files.createDirectories(CACHE);
      Files.copy(stage.tmp().resolve("valetkey.aot"), CACHE.resolve("valetkey.aot"));
    }
  }
}
