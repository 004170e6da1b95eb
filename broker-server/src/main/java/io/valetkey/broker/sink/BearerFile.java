package io.valetkey.broker.sink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file with one bearer token (RFC 6750 section 2.1). */
final class BearerFile {

  private BearerFile() {}

  /**
   * The value of the header {@code Authorization}.
   *
   * @throws IOException if the file does not hold one token; never with what it holds, which a
   *     client library would put into its own message
   */
  static String authorization(Path file) throws IOException {
    String token = Files.readString(file, StandardCharsets.ISO_8859_1).strip();
    if (!token.matches("[A-Za-z0-9._~+/-]+=*")) {
      throw new IOException("the bearer file does not hold one token");
    }
    return "Bearer " + token;
  }
}
