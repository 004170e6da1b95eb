package io.valetkey.client;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** An identity token in a file that the platform replaces from time to time. */
final class IdentityFile implements IdentitySource {
  private final Path path;

  IdentityFile(Path path) {
    this.path = path;
  }

  @Override
  public String identityToken() throws IOException {
    byte[] content;
    // Not a channel: those break for everybody when the reading thread is interrupted.
    try (InputStream in = new FileInputStream(path.toFile())) {
      content = in.readNBytes(CompactJws.MAX_LENGTH + 2);
    }
    String token = new String(content, StandardCharsets.US_ASCII).strip();
    if (!CompactJws.isWellFormed(token)) {
      throw new IOException(path + " does not hold a JWT of at most 16 KiB");
    }
    return token;
  }

  @Override
  public String toString() {
    return "IdentityFile[" + path + "]";
  }
}
