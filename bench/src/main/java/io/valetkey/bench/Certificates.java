package io.valetkey.bench;

import io.valetkey.realparts.TestAuthority;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * One P-256 certificate for every server of a measurement, as PEM files.
 *
 * @param authority whom to trust
 * @param certificate the servers' certificate, for {@code localhost} and 127.0.0.1
 * @param key its private key
 * @param pair both in one file, as HAProxy wants it
 */
record Certificates(Path authority, Path certificate, Path key, Path pair) {

  static Certificates create(Path folder) throws IOException {
    var authority = TestAuthority.create("upstreams");
    Path certificate = authority.server("localhost", "127.0.0.1").writePem(folder, "server");
    Path key = folder.resolve("server.key");
    Path pair =
        Files.writeString(
            folder.resolve("server-pair.pem"),
            Files.readString(certificate) + Files.readString(key));
    return new Certificates(authority.writePem(folder), certificate, key, pair);
  }
}
