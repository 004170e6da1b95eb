package io.valetkey.broker.token;

import org.jspecify.annotations.Nullable;

/**
 * The names under which this installation is known.
 *
 * @param issuer our issuer identifier
 * @param gatewayUrl the external URL of the gateway, without a slash at its end
 */
public record TokenSettings(String issuer, String gatewayUrl) {

  private static final String DESTINATIONS = "/d/";

  /** The audience, and resource indicator (RFC 8707), of a destination. */
  public String audienceOf(String destination) {
    return gatewayUrl + DESTINATIONS + destination;
  }

  /** The destination that an audience names, or null if it is not one of ours. */
  public @Nullable String destinationOf(String audience) {
    String prefix = gatewayUrl + DESTINATIONS;
    return audience.startsWith(prefix) && audience.length() > prefix.length()
        ? audience.substring(prefix.length())
        : null;
  }
}
