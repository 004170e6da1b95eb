package io.valetkey.broker.console;

import io.valetkey.broker.control.RoleClaim;
import io.valetkey.broker.identity.RelyingParty;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How the console is reached and how long one stays signed in.
 *
 * @param publicUrl our external URL, without a final slash
 * @param idle how long a session lasts without anybody doing something
 * @param lifetime how long it lasts at most
 * @param provider where people sign in; null if only the bootstrap token lets them in
 */
public record ConsoleSettings(
    String publicUrl, Duration idle, Duration lifetime, @Nullable Provider provider) {

  /** The path to which the provider sends people back. */
  public static final String CALLBACK = ConsoleRoutes.CALLBACK;

  /**
   * An OpenID provider.
   *
   * @param name what the sign-in page calls it
   * @param client how it knows us
   * @param roles the claim that says what somebody may do
   */
  public record Provider(String name, RelyingParty.Client client, RoleClaim roles) {}

  /** Whether browsers reach us by TLS; if not, it is by loopback. */
  boolean isSecure() {
    return publicUrl.startsWith("https://");
  }
}
