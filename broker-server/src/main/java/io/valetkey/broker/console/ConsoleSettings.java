package io.valetkey.broker.console;

import java.time.Duration;

/**
 * How the console is reached and how long one stays signed in.
 *
 * @param publicUrl our external URL, without a final slash
 * @param idle how long a session lasts without anybody doing something
 * @param lifetime how long it lasts at most
 */
public record ConsoleSettings(String publicUrl, Duration idle, Duration lifetime) {

  /** Whether browsers reach us by TLS; if not, it is by loopback. */
  boolean isSecure() {
    return publicUrl.startsWith("https://");
  }
}
