package io.valetkey.client;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Where this workload's identity token (a JWT that its platform signed: Kubernetes ServiceAccount
 * token, SPIFFE JWT-SVID, OIDC ID token) comes from. Asked anew for every exchange, from a
 * background thread, so that rotation needs no restart. It must be safe for several threads and
 * should answer at once; the builder's timeout covers it.
 */
@FunctionalInterface
public interface IdentitySource {
  /**
   * The identity token as it is now, a compact JWS of at most 16 KiB.
   *
   * @throws IOException if it cannot be had just now; callers of the library see an {@link
   *     UnavailableException}
   */
  String identityToken() throws IOException;

  /**
   * Reads the token from a file, at each exchange and through symbolic links, as Kubernetes and
   * spiffe-helper rotate them. White space around the token is not part of it.
   */
  static IdentitySource file(Path path) {
    return new IdentityFile(path);
  }
}
