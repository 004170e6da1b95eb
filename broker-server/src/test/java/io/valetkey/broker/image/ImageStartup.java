package io.valetkey.broker.image;

import io.valetkey.broker.image.ImageProcess.Start;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Measures the start of the image until it is ready, with and without its AOT cache, in turns, on a
 * database that is migrated. {@code tools/build-image measure} calls it by name; it is no test.
 */
class ImageStartup {

  private static final int ROUNDS = 11;

  @TempDir private Path folder;

  @Test
  void measure() throws Exception {
    ImageRoot image = ImageRoot.unpack(folder);
    List<Duration> with = new ArrayList<>();
    List<Duration> without = new ArrayList<>();
    try (var stage = new ImageStage(folder)) {
      start(stage, image, Start.AS_IT_IS);
      for (int i = 0; i < ROUNDS; i++) {
        with.add(start(stage, image, Start.ONLY_WITH_CACHE));
        without.add(start(stage, image, Start.WITHOUT_CACHE));
      }
    }
    System.out.println("ready after, with the cache: " + summary(with));
    System.out.println("ready after, without: " + summary(without));
  }

  private static Duration start(ImageStage stage, ImageRoot image, Start how) throws Exception {
    try (ImageProcess broker = stage.start(image, "issuer,gateway", how)) {
      return broker.awaitReady();
    }
  }

  private static String summary(List<Duration> times) {
    Collections.sort(times);
    return "median %d ms, %d to %d ms of %d"
        .formatted(
            times.get(times.size() / 2).toMillis(),
            times.getFirst().toMillis(),
            times.getLast().toMillis(),
            times.size());
  }
}
