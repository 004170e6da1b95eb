package io.valetkey.broker.access;

import io.valetkey.broker.policy.RequestPath;

/**
 * What the holder of a verified access token wants to do with it.
 *
 * @param holder who it is
 * @param destination the destination of the request
 * @param method the method of the request
 * @param path the path of the request below the destination
 */
public record Use(Holder holder, String destination, String method, RequestPath path) {}
