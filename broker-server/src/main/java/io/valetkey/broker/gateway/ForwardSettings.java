package io.valetkey.broker.gateway;

/**
 * How the forward proxy listens.
 *
 * @param host the local address to listen on
 * @param port the port to listen on; 0 for any free one
 * @param tls whether programs speak TLS to it, with the gateway's own certificate
 * @param certificateSuffices whether the certificate of a connection may stand in the place of a
 *     token
 */
public record ForwardSettings(String host, int port, boolean tls, boolean certificateSuffices) {}
