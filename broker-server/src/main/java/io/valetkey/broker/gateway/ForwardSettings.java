package io.valetkey.broker.gateway;

/**
 * How the forward proxy listens.
 *
 * @param host the local address to listen on
 * @param port the port to listen on; 0 for any free one
 * @param tls whether programs speak TLS to it, with the gateway's own certificate
 */
public record ForwardSettings(String host, int port, boolean tls) {}
