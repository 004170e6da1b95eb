package io.valetkey.broker.gateway;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The gateway's own bounds.
 *
 * @param host the local address to listen on
 * @param port the port to listen on; 0 for any free one
 * @param publicUrl the prefix of every destination's address, without a trailing slash
 * @param hosts destinations as hosts of their own; null if there are none
 * @param connectTimeout TCP and TLS handshake with an upstream, each
 * @param headTimeout how long a caller may take to send a header section
 * @param idleTimeout how long a body may make no progress, in either direction
 * @param webSocketIdle how long neither side of a WebSocket may send a frame
 * @param keepAlive how long an idle connection is kept, on either side
 * @param clientCertificates whether callers are asked for a certificate in the handshake
 * @param drain how long running exchanges may go on when the gateway stops
 */
public record GatewaySettings(
    String host,
    int port,
    String publicUrl,
    @Nullable DestinationHosts hosts,
    Duration connectTimeout,
    Duration headTimeout,
    Duration idleTimeout,
    Duration webSocketIdle,
    Duration keepAlive,
    boolean clientCertificates,
    Duration drain) {

  /** With the bounds that the documentation states; the rest as in the record. */
  public static GatewaySettings of(
      String host,
      int port,
      String publicUrl,
      @Nullable DestinationHosts hosts,
      boolean clientCertificates,
      Duration drain) {
    return new GatewaySettings(
        host,
        port,
        publicUrl,
        hosts,
        Duration.ofSeconds(5),
        Duration.ofSeconds(10),
        Duration.ofSeconds(30),
        Duration.ofMinutes(5),
        Duration.ofSeconds(60),
        clientCertificates,
        drain);
  }

  /** Where a destination is at this gateway for those who came this way, without a final slash. */
  String address(Way way, String destination) {
    return way == Way.HOST && hosts != null
        ? hosts.url(destination)
        : publicUrl + "/d/" + destination;
  }
}
