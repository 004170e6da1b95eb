package io.valetkey.broker.declaration;

import io.valetkey.broker.crypto.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A folder of {@code *.yaml}, {@code *.yml} and {@code *.json} files that together are one declared
 * set. Where the files of a folder are swapped as a whole through a link named {@code ..data}, as
 * Kubernetes does for mounted ConfigMaps, they are read through that link once, so that files of
 * two versions never mix.
 */
public final class PolicyFolder {

  private static final String SWAPPED = "..data";

  private final Path folder;

  /** Reads this folder. */
  public PolicyFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * What the folder holds at one moment.
   *
   * @param digest names exactly this content
   * @param files contents by name
   */
  record Content(String digest, Map<String, byte[]> files) {}

  /**
   * Reads the folder.
   *
   * @throws IOException if it cannot be read as a whole
   */
  Content read() throws IOException {
    Path link = folder.resolve(SWAPPED);
    Path place = Files.isSymbolicLink(link) ? link.toRealPath() : folder;
    Map<String, byte[]> files = new TreeMap<>();
    // One byte more than a set may have, so that the reader of a set finds it too large.
    int left = SetReader.MAX_BYTES + 1;
    try (Stream<Path> listed = Files.list(place)) {
      for (Path file : listed.filter(PolicyFolder::isPolicy).sorted().toList()) {
        try (InputStream in = Files.newInputStream(file)) {
          byte[] content = in.readNBytes(left);
          left -= content.length;
          files.put(String.valueOf(file.getFileName()), content);
        }
      }
    }
    return new Content(digest(files), files);
  }

  private static boolean isPolicy(Path file) {
    String name = String.valueOf(file.getFileName());
    return !name.startsWith(".")
        && (name.endsWith(".yaml") || name.endsWith(".yml") || name.endsWith(".json"))
        && Files.isRegularFile(file);
  }

  private static String digest(Map<String, byte[]> files) {
    MessageDigest digest = Sha256.digest();
    files.forEach((name, content) -> {
      digest.update((name + '\0' + content.length + '\0').getBytes(StandardCharsets.UTF_8));
      digest.update(content);
    });
    return HexFormat.of().formatHex(digest.digest());
  }
}
